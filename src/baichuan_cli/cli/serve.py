"""`bcli serve`: vLLM's OpenAI-compatible server, started from a plan and watched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.completion import complete_model
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes, check, make_server_plans, show_explanation
from baichuan_cli.errors import BcliError, ExitCode

_SERVER = "Server"
_MACHINES = "Several machines or cards"


def serve(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] [-- VLLM ARGUMENTS]...",
            help="The model, the same as --model. What follows -- goes to vLLM as it is.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    model: options.ModelOption = None,
    profile: options.ProfileOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.", rich_help_panel=_SERVER)
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.", rich_help_panel=_SERVER)] = 8000,
    served_model_name: Annotated[
        list[str] | None,
        typer.Option(help="Name that clients ask for; repeatable. Default: the model's.", rich_help_panel=_SERVER),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="VLLM_API_KEY",
            help="Key that clients must send. Other users see it here: --api-key-file and the variable are safer.",
            show_default=False,
            rich_help_panel=_SERVER,
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with the key in its first line.", rich_help_panel=_SERVER)
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines in without a key.", rich_help_panel=_SERVER)
    ] = False,
    chat_template: Annotated[
        Path | None,
        typer.Option(help="Jinja file. Default: the layout of the model's family.", rich_help_panel=_SERVER),
    ] = None,
    allowed_origins: Annotated[
        list[str] | None,
        typer.Option(
            help="Web pages of this origin may use the server; repeatable, * is all. Default: none.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    ssl_keyfile: Annotated[Path | None, typer.Option(help="TLS: the private key.", rich_help_panel=_SERVER)] = None,
    ssl_certfile: Annotated[Path | None, typer.Option(help="TLS: the certificate.", rich_help_panel=_SERVER)] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start vLLM again when it dies.", rich_help_panel=_SERVER)
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Show a page to talk with it too, on this machine.", rich_help_panel=_SERVER)
    ] = False,
    web_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.", rich_help_panel=_SERVER)
    ] = 8001,
    replicas: Annotated[
        int,
        typer.Option(
            min=1, help="Servers, each with cards of its own, behind vllm-router.", rich_help_panel=_MACHINES
        ),
    ] = 1,
    nnodes: Annotated[
        int | None, typer.Option(min=1, help="Machines that one server spans.", rich_help_panel=_MACHINES)
    ] = None,
    node_rank: Annotated[
        int | None,
        typer.Option(min=0, help="Which of them this is; 0 has the API.", rich_help_panel=_MACHINES),
    ] = None,
    master_addr: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Machine 0, for all.", rich_help_panel=_MACHINES)
    ] = None,
    master_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Where they meet there. Default: vLLM's.", rich_help_panel=_MACHINES),
    ] = None,
    max_tokens: options.MaxTokensOption = None,
    temperature: options.TemperatureOption = None,
    top_p: options.TopPOption = None,
    top_k: options.TopKOption = None,
    repetition_penalty: options.RepetitionPenaltyOption = None,
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
    verbose: options.VerboseOption = False,
) -> None:
    """Serve a model over the OpenAI API.

    bcli serve demo

    bcli serve baichuan2-7b-chat --host 0.0.0.0 --api-key-file key.txt

    bcli serve demo --web

    bcli serve demo --dry-run

    bcli serve demo -- --enable-lora --lora-modules poet=/data/poet
    """
    from baichuan_cli import paths
    from baichuan_cli.catalog.resolve import require_local
    from baichuan_cli.cli.serve_report import show_commands
    from baichuan_cli.cli.server_key import read_key
    from baichuan_cli.cli.serving import keep_serving
    from baichuan_cli.cli.web_page import WebPage, require_page
    from baichuan_cli.engine.ports import free_port
    from baichuan_cli.plan.replicas import router_findings
    from baichuan_cli.plan.serving import ServeOptions, plan_server

    out = Output(json_mode=as_json)
    planning_only = explain or dry_run
    if vllm_version is not None and not planning_only:
        raise BcliError("--vllm-version is for looking only.", hint="Add --explain or --dry-run.")
    named, extra = _split(words or [], model)
    if (ssl_keyfile is None) != (ssl_certfile is None):
        raise BcliError("TLS needs both --ssl-keyfile and --ssl-certfile.")
    for file in filter(None, (chat_template, ssl_keyfile, ssl_certfile)):
        file.open("rb").close()  # vLLM would find out minutes later, and call it something else
    wishes = Wishes(
        model=named,
        profile=profile,
        settings={
            "dtype": dtype,
            "tensor_parallel_size": tensor_parallel_size,
            "pipeline_parallel_size": pipeline_parallel_size,
            "nnodes": nnodes,
            "node_rank": node_rank,
            "master_addr": master_addr,
            "master_port": master_port,
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
        },
        vllm_version=vllm_version,
        force=force,
        fast_start=fast_start,
    )
    serve_options = ServeOptions(
        host=host,
        port=port or free_port(host),
        served_model_names=tuple(served_model_name or ()),
        api_key=read_key(api_key, api_key_file),
        insecure=insecure,
        chat_template=chat_template,
        allowed_origins=tuple(allowed_origins or ()),
        ssl_keyfile=ssl_keyfile,
        ssl_certfile=ssl_certfile,
        extra_arguments=extra,
    )
    plans, headline = make_server_plans(wishes, replicas)
    plan = plan_server(plans[0], serve_options, paths.state_dir())
    if replicas > 1:
        plan = replace(plan, findings=(*plan.findings, *router_findings(plan, serve_options)))
    if web:
        require_page(plan, serve_options)
    out.note(headline)
    if explain:
        show_explanation(plan, out)  # the findings are part of it
    else:
        check(plan, out)
    if dry_run:
        show_commands(plans, serve_options, out)
    if planning_only:
        raise typer.Exit(ExitCode.REFUSED if plan.refusals else ExitCode.OK)
    require_local(plan.model)
    page = WebPage(web_port) if web else None
    several = plans if replicas > 1 else ()
    keep_serving(plan, serve_options, out, replicas=several, restart=restart, verbose=verbose, page=page)


def _split(words: list[str], model: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Return the model and vLLM's arguments. Typer removes the `--` between them; arguments begin with a dash."""
    if words and not words[0].startswith("-"):
        if model is not None:
            raise BcliError(
                f"The model is given twice: {words[0]} and --model {model}.", hint="Leave one of them out."
            )
        model, words = words[0], words[1:]
    if words and not words[0].startswith("-"):
        raise BcliError(
            f"One server has one model, and {words[0]} is another.",
            hint="Start a second server with another --port, or give arguments for vLLM behind --.",
        )
    return model, tuple(words)
