"""The keyboard while nobody is asked anything."""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_STANDARD_INPUT = 0
_LOCAL_MODES = 3  # their place in what tcgetattr returns


@contextmanager
def silent_keyboard() -> Iterator[None]:
    """Keep what is typed meanwhile off the screen; it waits for whoever reads next. Ctrl-C stays a signal.

    Does nothing where standard input is no terminal, or one that belongs to somebody else by now: Ctrl-C ends the
    program that started bcli, too, and the shell takes the terminal back.
    """
    before = _silence() if os.isatty(_STANDARD_INPUT) else None
    try:
        yield
    finally:
        if before is not None:
            with suppress(termios.error):
                termios.tcsetattr(_STANDARD_INPUT, termios.TCSANOW, before)


def _silence() -> list[Any] | None:
    """Return the modes before; nothing where they cannot be changed."""
    try:
        before = termios.tcgetattr(_STANDARD_INPUT)
        silent = termios.tcgetattr(_STANDARD_INPUT)
        silent[_LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(_STANDARD_INPUT, termios.TCSANOW, silent)
    except termios.error:
        return None
    return before
