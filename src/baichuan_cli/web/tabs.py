"""The answers under way, one a browser tab at most, so that each can be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from baichuan_cli.web.conversation import History


@dataclass(slots=True)
class Running:
    """An answer under way."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    unwanted: bool = False  # the conversation has gone on without it, so nothing of it is shown any more
    instead: History | None = None  # what is shown at its end then


class Tabs:
    """Which tab waits for which answer. A tab's name is Gradio's session hash."""

    def __init__(self) -> None:
        self._running: dict[str, Running] = {}

    @contextmanager
    def running(self, tab: str) -> Iterator[Running]:
        """Hold an answer as the tab's own; one that was under way is not wanted any more."""
        self.drop(tab)
        running = self._running[tab] = Running()
        try:
            yield running
        finally:
            if self._running.get(tab) is running:
                del self._running[tab]

    def stop(self, tab: str) -> None:
        """End the answer under way; what has come of it stays."""
        if running := self._running.get(tab):
            running.stop.set()

    def drop(self, tab: str, instead: History | None = None) -> None:
        """End the answer under way, and let nothing of it be shown any more.

        Pieces of it may still be on their way to the browser, so what is shown `instead` has to come after them.
        """
        if running := self._running.get(tab):
            running.unwanted, running.instead = True, instead
            running.stop.set()
