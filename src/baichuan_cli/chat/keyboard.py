"""The keyboard while nobody is asked anything."""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager

_STANDARD_INPUT = 0
_LOCAL_MODES = 3  # their place in what tcgetattr returns


@contextmanager
def silent_keyboard() -> Iterator[None]:
    """Keep what is typed meanwhile off the screen; it waits for whoever reads next. Ctrl-C stays a signal.

    Does nothing where standard input is no terminal.
    """
    if not os.isatty(_STANDARD_INPUT):
        yield
        return
    before = termios.tcgetattr(_STANDARD_INPUT)
    silent = termios.tcgetattr(_STANDARD_INPUT)
    silent[_LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(_STANDARD_INPUT, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(_STANDARD_INPUT, termios.TCSANOW, before)
