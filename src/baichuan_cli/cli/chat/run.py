"""From the options of `bcli chat` to a conversation: who answers, what is kept, and where questions come from."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli import paths
from baichuan_cli.chat import archive
from baichuan_cli.chat.conversation import Conversation
from baichuan_cli.chat.events import SettingChanged, SystemChanged
from baichuan_cli.chat.transcript import Transcript
from baichuan_cli.cli.chat.commands import settable
from baichuan_cli.cli.chat.session import Session
from baichuan_cli.cli.planning import Wishes, check, layers, make_plan
from baichuan_cli.cli.prompts import standard_input
from baichuan_cli.cli.stopping import stopping
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.chat.commands import Name
    from baichuan_cli.cli.chat.engine import Engine
    from baichuan_cli.cli.output import Output
    from baichuan_cli.plan.model import Setting


@dataclass(frozen=True, slots=True)
class Start:
    """How a conversation is to begin."""

    wishes: Wishes
    url: str | None  # a server that runs already
    api_key: str | None
    system: str | None
    resume: Path | None  # the file of a conversation to go on with
    show_figures: bool
    keep: bool  # in a file
    verbose: bool  # show vLLM's log while it starts


def converse(start: Start, out: Output) -> ExitCode:
    """Have the conversation: with the person at the terminal, or one question from a pipe.

    Raises:
        BcliError: nobody can answer, or a piped question got no whole answer.
    """
    piped = None if sys.stdin.isatty() else standard_input("echo 你好 | bcli chat")
    if piped is None and out.json_mode:
        raise BcliError("--json is for a question through a pipe.", hint="echo 你好 | bcli chat --json")
    resumed = Transcript.resume(start.resume) if start.resume else None
    engine = _engine(start, resumed.conversation if resumed else None, out)
    transcript = resumed or Transcript(
        Conversation(engine.model, engine.url), archive.chats_dir() if start.keep else None
    )
    session = Session(engine, transcript, out, show_figures=start.show_figures, interactive=piped is None)
    with closing(session):
        _apply_options(start, session)
        with stopping():
            engine.ready()
        if piped is not None:
            return _answer_piped(session, piped)
        _talk(session, resumed=resumed is not None, keep=start.keep)
    return ExitCode.OK


def _engine(start: Start, resumed: Conversation | None, out: Output) -> Engine:
    wishes, url = start.wishes, start.url or (resumed.url if resumed else None)
    if url is not None:
        from baichuan_cli.cli.chat.running_server import RunningServer, public_address

        _refuse_engine_options(wishes)
        model = None if wishes.model is None else str(wishes.model)
        if resumed and resumed.url == public_address(url):
            model = model or resumed.model
        server = RunningServer(url, start.api_key, model, _asked(wishes))
        out.note(server.label)
        return server
    from baichuan_cli.cli.chat.own_engine import OwnEngine

    if wishes.model is None and resumed:
        wishes = replace(wishes, model=resumed.model)
    plan, headline = make_plan(wishes, purpose="server")
    out.note(headline)
    check(plan, out)
    return OwnEngine(wishes, plan, out, verbose=start.verbose)


def _refuse_engine_options(wishes: Wishes) -> None:
    """Refuse options that only an engine of our own could follow.

    Raises:
        BcliError: there is one; it is named.
    """
    given = ["--" + name.replace("_", "-") for name, value in wishes.settings.items() if value is not None]
    given += [f"--set {assignment}" for assignment in wishes.assignments]
    given += ["--profile"] * (wishes.profile is not None) + ["--force"] * wishes.force
    given += ["--fast-start"] * wishes.fast_start
    if given:
        raise BcliError(
            f"{given[0]} is for an engine that bcli starts; a server that runs already has its own settings.",
            hint=f"Leave {given[0]} or --url out.",
        )


def _asked(wishes: Wishes) -> dict[str, Setting]:
    """Return what the person asks for about sampling; the rest is left to the server."""
    from baichuan_cli.plan.model import Setting

    return {
        name: Setting(value, layer.source, "")
        for layer in layers(wishes)
        for name, value in layer.sampling.items()
        if name in settable()
    }


def _apply_options(start: Start, session: Session) -> None:
    """Let the command line win over what a resumed conversation says."""
    if start.system is not None:
        session.record(SystemChanged(content=start.system))
    for name, value in start.wishes.sampling.items():
        if value is not None and name in session.conversation.sampling:
            session.record(SettingChanged(name=name, value=None))


def _answer_piped(session: Session, question: str) -> ExitCode:
    outcome = session.ask(question)
    if session.out.json_mode:
        session.out.json(
            {
                "schema": "bcli.chat-answer/1",
                "model": session.conversation.model,
                "conversation": session.transcript.name,
                "answer": session.conversation.rounds[-1].answer,
                "finish_reason": outcome.finish,
                **outcome.figures.as_json(),
            }
        )
    if outcome.error is not None:
        return outcome.error.exit_code
    return ExitCode.INTERRUPTED if outcome.finish == "stopped" else ExitCode.OK


def _talk(session: Session, *, resumed: bool, keep: bool) -> None:
    from baichuan_cli.chat.line import Line

    history = paths.state_dir() / "chat-history" if keep else None
    line = Line(
        history,
        lambda command: _arguments(command, session),
        warn_of_leaving=lambda: session.out.note("Ctrl-C again leaves"),
    )
    if resumed:
        session.show_where_it_stands()
    session.talk(line)
    if name := session.transcript.name:
        session.out.note(f"kept: bcli chat --resume {name}")


def _arguments(command: Name, session: Session) -> Iterable[str]:
    """Return what can follow a command."""
    match command:
        case "set":
            return settable()
        case "show":
            return ("chat",)
        case "stats" | "multiline":
            return ("on", "off")
        case "model":
            return session.engine.offered
        case "load":
            return reversed(archive.names(archive.chats_dir()))
        case _:
            return ()
