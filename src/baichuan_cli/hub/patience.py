"""How often and how long to wait for a server that does not answer as it should."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from baichuan_cli.hub.source import SourceError, TemporaryProblem

T = TypeVar("T")

_TRIES = 6  # without a new byte
_SHORT_TRIES = 3  # for a question, which another source may answer at once
_FIRST_WAIT = 1.0  # seconds; each wait is twice the one before: 31 seconds together
_LONGEST_WAIT = 300.0


class StoppedError(Exception):
    """The person stopped it."""


class Patience:
    """The tries that are left; every new byte gives all of them back.

    Args:
        stop: set when the person stops it.
        tries: how many there are.
    """

    def __init__(self, stop: threading.Event, tries: int = _TRIES) -> None:
        self._stop = stop
        self._tries = tries
        self._failures = 0

    def restore(self) -> None:
        """Forget the failures so far."""
        self._failures = 0

    def wait(self, problem: TemporaryProblem) -> None:
        """Wait before the next try: as long as the server asks, otherwise twice as long as before.

        Raises:
            SourceError: the tries are used up, or the server asks for too long a wait.
            StoppedError: the person stopped it meanwhile.
        """
        self._failures += 1
        seconds = _FIRST_WAIT * 2 ** (self._failures - 1) if problem.retry_after is None else problem.retry_after
        if seconds > _LONGEST_WAIT:
            raise SourceError(f"{problem.reason} and asks to wait {seconds:,.0f} seconds")
        if self._failures >= self._tries:
            raise SourceError(f"{problem.reason}, {self._tries} times in a row")
        if self._stop.wait(seconds):
            raise StoppedError


def patiently(ask: Callable[[], T]) -> T:
    """Return the answer to a question to a source, which may be busy at first.

    Raises:
        SourceError: it did not work.
    """
    patience = Patience(threading.Event(), _SHORT_TRIES)
    while True:
        try:
            return ask()
        except TemporaryProblem as problem:
            patience.wait(problem)
