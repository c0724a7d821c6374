"""`bcli generate`: answers to prompts from the command line, a file, standard input or a whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.answering import answer_batch, answer_prompts, make_job, tell_bad_lines
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes, check, make_plan, show_dry_run, show_explanation
from baichuan_cli.cli.prompts import read_prompts
from baichuan_cli.errors import BcliError, ExitCode

_INPUT = "Prompts"


def generate(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROMPT]...", help="Prompts, the same as --prompt.", show_default=False),
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", "-p", help="A prompt; repeatable.", rich_help_panel=_INPUT)
    ] = None,
    prompt_file: Annotated[
        Path | None, typer.Option("--prompt-file", help="A file that is one prompt.", rich_help_panel=_INPUT)
    ] = None,
    input_path: Annotated[
        Path | None,
        typer.Option(
            "--input", "-i", help="A batch: JSONL, a prompt or messages on each line.", rich_help_panel=_INPUT
        ),
    ] = None,
    output_path: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where a batch's answers go; resumable.", rich_help_panel=_INPUT),
    ] = None,
    chat: Annotated[
        bool, typer.Option("--chat", help="Ask in the model's chat format.", rich_help_panel=_INPUT)
    ] = False,
    system: Annotated[
        str | None, typer.Option("--system", help="System prompt; implies --chat.", rich_help_panel=_INPUT)
    ] = None,
    model: options.ModelOption = None,
    profile: options.ProfileOption = None,
    max_tokens: options.MaxTokensOption = None,
    temperature: options.TemperatureOption = None,
    top_p: options.TopPOption = None,
    top_k: options.TopKOption = None,
    repetition_penalty: options.RepetitionPenaltyOption = None,
    seed: options.SeedOption = None,
    stop: options.StopOption = None,
    n: options.ChoicesOption = None,
    logprobs: options.LogprobsOption = None,
    dtype: options.DtypeOption = None,
    tensor_parallel_size: options.TensorParallelOption = None,
    pipeline_parallel_size: options.PipelineParallelOption = None,
    quantization: options.QuantizationOption = None,
    max_model_len: options.MaxModelLenOption = None,
    gpu_memory_utilization: options.GpuMemoryOption = None,
    max_num_seqs: options.MaxNumSeqsOption = None,
    enforce_eager: options.EagerOption = None,
    fast_start: options.FastStartOption = False,
    trust_remote_code: options.TrustRemoteCodeOption = False,
    assignments: options.SetOption = None,
    self_check: Annotated[
        bool,
        typer.Option(
            "--self-check",
            help="First compare the engine with float32; answer only if it is right. See docs/self-check.md.",
            rich_help_panel=_INPUT,
        ),
    ] = False,
    explain: options.ExplainOption = False,
    dry_run: options.DryRunOption = False,
    force: options.ForceOption = False,
    vllm_version: options.VllmVersionOption = None,
    as_json: options.JsonOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Answer prompts.

    bcli generate 床前明月光

    bcli generate --model baichuan2-7b-chat --chat --prompt 你好

    bcli generate --input prompts.jsonl --output answers.jsonl
    """
    out = Output(json_mode=as_json)
    planning_only = explain or dry_run
    if vllm_version is not None and not planning_only:
        raise BcliError("--vllm-version is for looking only.", hint="Add --explain or --dry-run.")
    if output_path is not None and input_path is None:
        raise BcliError("--output is for a batch.", hint="Give --input FILE, or redirect: bcli generate … > out.txt")
    prompts = [*(words or ()), *(prompt or ())]
    batch = None
    if prompts or prompt_file or input_path or not planning_only:
        batch = read_prompts(prompts, prompt_file, input_path)
    plan, headline = make_plan(
        Wishes(
            model=model,
            profile=profile,
            settings={
                "dtype": dtype,
                "tensor_parallel_size": tensor_parallel_size,
                "pipeline_parallel_size": pipeline_parallel_size,
                "quantization": quantization,
                "max_model_len": max_model_len,
                "gpu_memory_utilization": gpu_memory_utilization,
                "max_num_seqs": max_num_seqs,
                "enforce_eager": enforce_eager,
                "trust_remote_code": trust_remote_code or None,
            },
            assignments=assignments or (),
            sampling={
                "max_tokens": max_tokens,
                "temperature": temperature,
                "top_p": top_p,
                "top_k": top_k,
                "repetition_penalty": repetition_penalty,
                "seed": seed,
                "stop": stop or None,
                "n": n,
                "logprobs": logprobs,
            },
            vllm_version=vllm_version,
            force=force,
            fast_start=fast_start,
        ),
        purpose="offline",
    )
    out.note(headline)
    if explain:
        show_explanation(plan, out)  # the findings are part of it
    else:
        check(plan, out)
    if dry_run:
        show_dry_run(plan, out)
    if planning_only or batch is None:
        if batch and input_path:
            tell_bad_lines(batch.bad_lines, input_path, out)
        bad = ExitCode.USAGE if batch and batch.bad_lines else ExitCode.OK
        raise typer.Exit(ExitCode.REFUSED if plan.refusals else bad)
    job = make_job(plan, batch.items, chat=chat or system is not None, system=system)
    if input_path is not None:
        code = answer_batch(job, batch.bad_lines, input_path, output_path, out, verbose=verbose, self_check=self_check)
        raise typer.Exit(code)
    raise typer.Exit(answer_prompts(job, out, verbose=verbose, self_check=self_check))
