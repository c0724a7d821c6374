"""What each command of a conversation does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baichuan_cli.chat import archive, saved
from baichuan_cli.chat.backend import NO_CHAT_SETTINGS
from baichuan_cli.chat.commands import ALIASES, COMMANDS, Command
from baichuan_cli.chat.events import AnswerDropped, Asked, RoundDropped, SettingChanged, SystemChanged
from baichuan_cli.chat.transcript import Transcript
from baichuan_cli.cli.chat.listing import show_list
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.paths import expand_home

if TYPE_CHECKING:
    from baichuan_cli.chat.conversation import Round
    from baichuan_cli.chat.line import Line
    from baichuan_cli.cli.chat.session import Session
    from baichuan_cli.plan.readers import Reader


def obey(command: Command, session: Session, line: Line) -> None:
    """Do what was typed.

    Raises:
        BcliError: it cannot be done; nothing has changed.
        OSError: a file cannot be read or written.
        KeyboardInterrupt: the person stopped it.
    """
    argument = command.argument
    match command.name:
        case "help":
            _help(session)
        case "system":
            _system(session, argument)
        case "reset":
            _begin_anew(session)
            session.out.note("a new conversation")
        case "undo":
            session.out.note(f"taken back: {_last(session).question}")
            session.record(RoundDropped())
        case "retry":
            _retry(session)
        case "edit":
            _edit(session, line)
        case "set":
            _set(session, argument)
        case "show":
            _show(session, argument)
        case "save":
            _save(session, argument)
        case "load":
            _load(session, argument)
        case "model":
            _model(session, argument)
        case "stats":
            _stats(session, argument)
        case "multiline":
            line.multiline = _switch("multiline", argument, line.multiline)
            enter, alt_enter = ("begins a line", "sends") if line.multiline else ("sends", "begins a line")
            session.out.note(f"Enter {enter}, Alt-Enter {alt_enter}")


def _last(session: Session) -> Round:
    if not session.conversation.rounds:
        raise BcliError("Nothing was asked yet.", hint="Type a question.")
    return session.conversation.rounds[-1]


def _help(session: Session) -> None:
    out = session.out
    out.facts([(f"/{name} {usage.arguments}".rstrip(), usage.does) for name, usage in COMMANDS.items()])
    out.text("")
    others = ", ".join(f"/{alias} for /{name}" for alias, name in ALIASES.items() if len(alias) > 1)
    out.facts(
        [
            ("Alt-Enter", 'begins a line; so does Enter between """ and """'),
            ("Ctrl-C", "stops an answer and keeps it; clears the line"),
            ("Ctrl-X Ctrl-E", "opens the line in $EDITOR"),
            ("also", others),
        ]
    )


def _system(session: Session, text: str) -> None:
    if text:
        session.record(SystemChanged(content=None if text == "none" else text))
    session.out.note(f"system prompt: {session.conversation.system or 'none'}")


def _begin_anew(session: Session) -> None:
    """Go on in a new conversation with the same system prompt and settings; the old one stays kept."""
    old = session.conversation
    session.go_on_with(session.transcript.successor())
    if old.system is not None:
        session.record(SystemChanged(content=old.system))
    for name, value in old.sampling.items():
        session.record(SettingChanged.model_validate({"name": name, "value": value}))


def _retry(session: Session) -> None:
    if _last(session).answer and session.sampling().get("temperature") == 0:
        session.out.note("temperature is 0: the answer will be the same")
    session.engine.ready()
    session.record(AnswerDropped())
    session.answer()


def _edit(session: Session, line: Line) -> None:
    question = _last(session).question
    session.engine.ready()
    changed = line.read(default=question)
    session.record(RoundDropped())
    session.record(Asked(content=changed))
    session.answer()


def _set(session: Session, argument: str) -> None:
    from baichuan_cli.plan.draft import show
    from baichuan_cli.plan.settings import read

    name, _, raw = argument.partition(" ")
    if not name:
        session.out.facts(_settings(session))
        return
    name, raw = name.replace("-", "_"), raw.strip()
    readers = settable()
    if raw and not (raw == "default" and name in readers):
        value = read(readers, name, raw, "/set")
        session.record(SettingChanged.model_validate({"name": name, "value": value}))
    elif raw:
        session.record(SettingChanged(name=name, value=None))
    elif name not in readers:
        read(readers, name, raw, "/set")  # says what names there are
    setting = session.settings().get(name)
    session.out.note(f"{name} {show(setting.value)}" if setting else f"{name} is left to the server")


def settable() -> dict[str, Reader]:
    """Return how each sampling parameter is read that means something in a conversation."""
    from baichuan_cli.plan.settings import SAMPLING

    return {name: reader for name, reader in SAMPLING.items() if name not in NO_CHAT_SETTINGS}


def _settings(session: Session) -> list[tuple[str, str]]:
    from baichuan_cli.plan.draft import show

    return [(name, f"{show(setting.value)}  ({setting.source})") for name, setting in session.settings().items()]


def _show(session: Session, what: str) -> None:
    conversation = session.conversation
    if what == "chat":
        for each in conversation.rounds:
            session.show(each)
        return
    if what:
        raise BcliError(f"/show {what}: there is no such thing.", hint="/show or /show chat")
    session.out.facts(
        [
            ("model", session.engine.label),
            ("system", conversation.system or "none"),
            ("rounds", str(len(conversation.rounds))),
            ("kept in", str(session.transcript.path or "no file")),
            *_settings(session),
        ]
    )


def _save(session: Session, name: str) -> None:
    if not name:
        raise BcliError("/save needs a file.", hint="/save talk.json")
    _last(session)
    path = expand_home(name)
    if path.exists() and path not in session.saved_to:
        raise BcliError(f"{path} exists already.", hint="Give another name.", exit_code=ExitCode.OUTPUT)
    saved.save(session.conversation, path)
    session.saved_to.add(path)
    session.out.note(f"{session.conversation.size} in {path}")


def _load(session: Session, name: str) -> None:
    folder = archive.chats_dir()
    if not name:
        show_list(archive.conversations(folder, besides=session.transcript.path), session.out)
        return
    if archive.looks_like_name(name):
        path = archive.find(folder, name)
        if path == session.transcript.path:
            raise BcliError(f"{path.stem} is this conversation.")
        session.go_on_with(Transcript.resume(path))
    else:
        events = saved.load(expand_home(name))
        session.go_on_with(session.transcript.successor())
        for event in events:
            session.record(event)
    session.show_where_it_stands()


def _model(session: Session, name: str) -> None:
    if name:
        session.engine.choose(name)
        session.out.note(f"{session.engine.label} answers from now on")
        return
    for each in session.engine.models():
        session.out.text(f"{'*' if each == session.engine.model else ' '} {each}")


def _stats(session: Session, argument: str) -> None:
    if argument:
        session.show_figures = _switch("stats", argument, session.show_figures)
        session.out.note("figures after every answer" if session.show_figures else "no figures after the answers")
    elif session.last is None:
        raise BcliError("There is no answer yet.", hint="/stats on shows the figures after every answer.")
    else:
        session.out.note(session.last.figures.line())


def _switch(command: str, argument: str, current: bool) -> bool:
    """Return what a switch is set to; without a word it is turned over."""
    match argument.lower():
        case "":
            return not current
        case "on":
            return True
        case "off":
            return False
    raise BcliError(f"/{command} {argument}: there is only on and off.")
