"""What a person would see: the screen of a terminal emulator that a real process writes to."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyte

from fakes.terminal import Terminal, on_terminal

PATIENCE = 180.0  # seconds that anything may take; an engine starts slowly on a busy machine


class _Emulator(pyte.HistoryScreen):
    """A screen that answers what a program asks of its terminal, such as where the cursor is."""

    answer: Callable[[bytes], object]

    def write_process_input(self, data: str) -> None:
        self.answer(data.encode())


class Screen:
    """A process on a terminal whose screen can be looked at.

    Attributes:
        terminal: the process and its keyboard.
    """

    def __init__(self, terminal: Terminal, columns: int, lines: int) -> None:
        self.terminal = terminal
        self._emulator = _Emulator(columns, lines, history=10_000)
        self._emulator.answer = terminal.type
        self._stream = pyte.ByteStream(self._emulator)

    def text(self) -> str:
        """Return what is on the screen, without what is empty at its end."""
        return "\n".join(line.rstrip() for line in self._emulator.display).rstrip()

    def everything(self) -> str:
        """Return what is on the screen, and what has left it at the top."""
        columns = self._emulator.columns
        gone = ["".join(line[x].data for x in range(columns)).rstrip() for line in self._emulator.history.top]
        return "\n".join([*gone, self.text()])

    def wait_for(self, wanted: str | Callable[[str], bool]) -> str:
        """Wait until a text stands on the screen, or the screen is as wanted; return it."""
        seen = wanted if callable(wanted) else lambda text: wanted in text
        deadline = time.monotonic() + PATIENCE
        while not seen(self.text()):
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted!r} never came:\n{self.everything()}"
            assert self._read(left), f"the process ended without {wanted!r}:\n{self.everything()}"
        return self.text()

    def type(self, *keys: str) -> None:
        """Press keys; "\\r" is Enter, "\\x03" Ctrl-C, "\\x1b" Escape."""
        for each in keys:
            self.terminal.type(each.encode())

    def wait_for_exit(self) -> int:
        """Read until the process has closed the terminal; return its exit code."""
        while self._read(PATIENCE):
            pass
        return self.terminal.process.wait(PATIENCE)

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as a person who drags its corner."""
        self._emulator.resize(lines, columns)
        fcntl.ioctl(self.terminal.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self, seconds: float) -> bool:
        """Take in what the process writes next; tell whether it can write any more."""
        descriptor = self.terminal.descriptor
        if not select.select([descriptor], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.terminal.pieces.append(piece)
        self._stream.feed(piece)
        return True


@contextmanager
def on_screen(
    command: Sequence[str | os.PathLike[str]], environment: Mapping[str, str], *, columns: int = 80, lines: int = 24
) -> Iterator[Screen]:
    """Start a process on a terminal of some size."""
    with on_terminal(command, environment, columns=columns, lines=lines) as terminal:
        yield Screen(terminal, columns, lines)
