"""The options of `bcli chat`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from baichuan_cli.cli import options
from baichuan_cli.cli.completion import complete_model
from baichuan_cli.cli.engine_options import takes_engine
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes, check, make_plan, show_explanation
from baichuan_cli.errors import BcliError, ExitCode

_CHAT = "Conversation"


@takes_engine
def chat(
    *,
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="The model, the same as --model; with --resume also the name of a conversation.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", "-r", help="Go on with the last, or a named conversation.", rich_help_panel=_CHAT),
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
    wishes: Wishes,
    max_tokens: options.MaxTokensOption = None,
    temperature: options.TemperatureOption = None,
    top_p: options.TopPOption = None,
    top_k: options.TopKOption = None,
    repetition_penalty: options.RepetitionPenaltyOption = None,
    seed: options.SeedOption = None,
    stop: options.StopOption = None,
    explain: options.ExplainOption = False,
    dry_run: options.DryRunOption = False,
    vllm_version: options.VllmVersionOption = None,
    as_json: options.JsonOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Have a conversation in the terminal.

    It is kept as it goes. /help in it shows the commands.

    bcli chat baichuan2-7b-chat

    bcli chat --resume

    bcli chat --url http://localhost:8000/v1

    echo 你好 | bcli chat demo
    """
    from baichuan_cli.chat import archive
    from baichuan_cli.cli.chat.listing import show_list
    from baichuan_cli.cli.chat.run import Start, converse

    out = Output(json_mode=as_json)
    folder = archive.chats_dir()
    if as_list:
        show_list(archive.conversations(folder), out)
        return
    if resume and not save:
        raise BcliError("--no-save is for a new conversation; one that is resumed is kept already.")
    name = word if resume and word is not None and archive.looks_like_name(word) else None
    if word is not None and name is None:
        if wishes.model is not None:
            raise BcliError(
                f"The model is given twice: {word} and --model {wishes.model}.", hint="Leave one of them out."
            )
        wishes = replace(wishes, model=word)
    sampling = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "stop": stop or None,
    }
    wishes = replace(wishes, sampling=sampling, vllm_version=vllm_version)
    if explain or dry_run:
        if url is not None:
            raise BcliError("--explain and --dry-run are for an engine that bcli starts.", hint="Leave --url out.")
        raise typer.Exit(_look(wishes, out, explain=explain, dry_run=dry_run))
    if vllm_version is not None:
        raise BcliError("--vllm-version is for looking only.", hint="Add --explain or --dry-run.")
    earlier = (archive.find(folder, name) if name else archive.latest(folder, word)) if resume else None
    start = Start(
        wishes=wishes,
        url=url,
        api_key=api_key,
        system=system,
        resume=earlier,
        show_figures=stats,
        keep=save,
        verbose=verbose,
    )
    raise typer.Exit(converse(start, out))


def _look(wishes: Wishes, out: Output, *, explain: bool, dry_run: bool) -> ExitCode:
    """Show the settings, or the command that would start the engine."""
    from baichuan_cli.cli.serve_report import show_commands
    from baichuan_cli.engine.server import private_options

    plan, headline = make_plan(wishes, purpose="server")
    out.note(headline)
    if explain:
        show_explanation(plan, out)  # the findings are part of it
    else:
        check(plan, out)
    if dry_run:
        show_commands([plan], private_options(), out)
    return ExitCode.REFUSED if plan.refusals else ExitCode.OK
