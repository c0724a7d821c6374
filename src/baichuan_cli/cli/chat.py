"""`bcli chat`: a conversation in the terminal, or one question through a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.completion import complete_model
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes, check, make_plan, show_dry_run, show_explanation
from baichuan_cli.errors import BcliError, ExitCode

_CHAT = "Conversation"


def chat(
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL|NAME]",
            help="The model, the same as --model; with --resume the name of a conversation.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", "-r", help="Go on with the last conversation, or NAME.", rich_help_panel=_CHAT),
    ] = False,
    as_list: Annotated[
        bool, typer.Option("--list", "-l", help="List past conversations.", rich_help_panel=_CHAT)
    ] = False,
    system: Annotated[str | None, typer.Option("--system", help="System prompt.", rich_help_panel=_CHAT)] = None,
    stats: Annotated[
        bool,
        typer.Option("--stats", help="Show tokens, time and speed after every answer.", rich_help_panel=_CHAT),
    ] = False,
    save: Annotated[
        bool,
        typer.Option("--save/--no-save", help="Keep the conversation in a file.", rich_help_panel=_CHAT),
    ] = True,
    url: options.UrlOption = None,
    api_key: options.ApiKeyOption = None,
    model: options.ModelOption = None,
    profile: options.ProfileOption = None,
    max_tokens: options.MaxTokensOption = None,
    temperature: options.TemperatureOption = None,
    top_p: options.TopPOption = None,
    top_k: options.TopKOption = None,
    repetition_penalty: options.RepetitionPenaltyOption = None,
    seed: options.SeedOption = None,
    stop: options.StopOption = None,
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
    explain: options.ExplainOption = False,
    dry_run: options.DryRunOption = False,
    force: options.ForceOption = False,
    vllm_version: options.VllmVersionOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Have a conversation, kept as it goes. /help in it shows the commands.

    bcli chat baichuan2-7b-chat

    bcli chat --resume

    bcli chat --url http://localhost:8000/v1

    echo 你好 | bcli chat demo
    """
    from baichuan_cli.chat import archive
    from baichuan_cli.cli.chat_list import show_list
    from baichuan_cli.cli.chat_run import Start, converse

    out = Output(json_mode=as_json)
    if as_list:
        show_list(archive.conversations(archive.chats_dir()), out)
        return
    if resume and not save:
        raise BcliError("--no-save is for a new conversation; one that is resumed is kept already.")
    name = word if resume and word is not None and archive.looks_like_name(word) else None
    if word is not None and name is None:
        if model is not None:
            raise BcliError(f"The model is given twice: {word} and --model {model}.", hint="Give one of them.")
        model = word
    wishes = Wishes(
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
        },
        vllm_version=vllm_version,
        force=force,
        fast_start=fast_start,
    )
    if explain or dry_run:
        if url is not None:
            raise BcliError("--explain and --dry-run are for an engine that bcli starts.", hint="Leave --url out.")
        plan, headline = make_plan(wishes, purpose="server")
        out.note(headline)
        if explain:
            show_explanation(plan, out)  # the findings are part of it
        else:
            check(plan, out)
            show_dry_run(plan, out)
        raise typer.Exit(ExitCode.REFUSED if plan.refusals else ExitCode.OK)
    if vllm_version is not None:
        raise BcliError("--vllm-version is for looking only.", hint="Add --explain or --dry-run.")
    start = Start(
        wishes=wishes,
        url=url,
        api_key=api_key,
        system=system,
        resume=_resumed(name, word) if resume else None,
        show_figures=stats,
        keep=save,
    )
    raise typer.Exit(converse(start, out))


def _resumed(name: str | None, model: str | None) -> Path:
    """Return the conversation to go on with: the named one, or the last one, with a model if that is named instead."""
    from baichuan_cli.chat import archive

    return archive.find(archive.chats_dir(), name) if name else archive.latest(archive.chats_dir(), model)
