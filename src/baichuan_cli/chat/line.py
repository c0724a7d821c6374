"""The line on which a person types: history, several lines, pasted text, and what Tab offers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output

from baichuan_cli.chat.commands import ALIASES, COMMANDS, NAMES, Name, is_open_quote

_PROMPT = "> "
_PLACEHOLDER = "a message, or /help"


class Leave(Exception):
    """The person wants to leave: Ctrl-D, or Ctrl-C twice at an empty line."""


class Line:
    """Asks for one message or command at a time.

    Attributes:
        multiline: Enter begins a new line and Alt-Enter sends, instead of the other way round.

    Args:
        history: the file of what was typed before; None keeps nothing.
        arguments: what can follow a command.
        warn_of_leaving: called when one more Ctrl-C would leave.
    """

    def __init__(
        self,
        history: Path | None,
        arguments: Callable[[Name], Iterable[str]],
        warn_of_leaving: Callable[[], None],
    ) -> None:
        self.multiline = False
        self._warn_of_leaving = warn_of_leaving
        self._placeholder: str | None = _PLACEHOLDER
        self._session: PromptSession[str] = PromptSession(
            _PROMPT,
            history=_history(history),
            multiline=True,  # the buffer may hold several lines; which key sends it is decided below
            prompt_continuation=" " * len(_PROMPT),
            key_bindings=self._keys(),
            completer=_Completer(arguments),
            complete_while_typing=Condition(lambda: self._session.default_buffer.text.startswith("/")),
            reserve_space_for_menu=6,
            enable_open_in_editor=True,
            output=create_output(always_prefer_tty=True),  # the terminal, also where answers go into a file
        )

    def read(self, default: str = "") -> str:
        """Return what the person typed.

        Args:
            default: what stands on the line already, to be changed.

        Raises:
            Leave: they want to leave.
            KeyboardInterrupt: they gave up on the text in `default`.
        """
        interrupted = False
        while True:
            try:
                line = self._session.prompt(
                    default=default, placeholder=[("fg:ansibrightblack", self._placeholder or "")]
                )
            except EOFError:
                raise Leave from None
            except KeyboardInterrupt:
                if default:
                    raise
                typed = self._session.default_buffer.text
                if interrupted and not typed:
                    raise Leave from None
                interrupted = not typed
                if interrupted:
                    self._warn_of_leaving()
                continue
            if line.strip():
                self._placeholder = None
                return line
            interrupted = False

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter")
        def enter(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if is_open_quote(buffer.text) or (self.multiline and not buffer.text.startswith("/")):
                buffer.newline(copy_margin=False)
            else:
                buffer.validate_and_handle()

        @keys.add("escape", "enter")
        def alt_enter(event: KeyPressEvent) -> None:
            if self.multiline:
                event.current_buffer.validate_and_handle()
            else:
                event.current_buffer.newline(copy_margin=False)

        return keys


class _Completer(Completer):
    def __init__(self, arguments: Callable[[Name], Iterable[str]]) -> None:
        self._arguments = arguments

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Yield the commands that begin with what was typed, or what can follow the command."""
        typed = document.text_before_cursor
        if not typed.startswith("/"):
            return
        word, space, argument = typed[1:].partition(" ")
        if not space:
            for name in NAMES:
                if name.startswith(word.lower()):
                    yield Completion(f"/{name}", start_position=-len(typed), display_meta=COMMANDS[name].does)
            return
        wanted = next((each for each in NAMES if each == word.lower()), None) or ALIASES.get(word.lower())
        for offered in self._arguments(wanted) if wanted else ():
            if offered.startswith(argument):
                yield Completion(offered, start_position=-len(argument))


def _history(path: Path | None) -> History:
    if path is None:
        return InMemoryHistory()
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))  # what a person types is for their eyes only
    return FileHistory(path)
