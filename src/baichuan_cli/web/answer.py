"""One answer as it arrives: pieces of text until its end, the person's stop, or the tab's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from baichuan_cli.chat.backend import Trimmed
from baichuan_cli.engine.client import Delta, Finish

_TICK = 0.05  # seconds between two updates of the page; each of them is work for the browser


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer so far. Times are in seconds from the request."""

    text: str = ""
    first_seconds: float | None = None  # to the first piece of text
    seconds: float = 0.0  # to the latest event
    finish: Finish | None = None  # None: under way or stopped
    stopped: bool = False
    left_out: int = 0  # rounds at the conversation's start that the model was not told


async def follow(
    events: AsyncGenerator[Trimmed | Delta | Finish, None], stop: asyncio.Event, *, tick: float = _TICK
) -> AsyncGenerator[Answer, None]:
    """Yield the answer so far, at most once a tick, and the whole of it at the end.

    Args:
        events: what a `MessageBackend` yields; closed however this ends, which cancels the request at the server.
        stop: set it to end the answer with what is there.
        tick: seconds.

    Raises:
        ServerError: the client's; the answer that it cut off has been yielded.
    """
    clock = asyncio.get_running_loop().time
    answer = shown = Answer()
    shown_at = clock() - tick
    async with aclosing(events):
        stopping = asyncio.create_task(stop.wait())
        coming = asyncio.create_task(_next(events))
        try:
            while True:
                patience = None if answer is shown else max(0.0, shown_at + tick - clock())
                await asyncio.wait({stopping, coming}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    answer = replace(answer, stopped=True)
                    break
                if coming.done():
                    if coming.exception() and answer is not shown:
                        yield answer
                    if (event := coming.result()) is None:
                        break
                    answer = _with(answer, event)
                    coming = asyncio.create_task(_next(events))
                if answer is not shown and clock() >= shown_at + tick:
                    yield answer
                    shown, shown_at = answer, clock()
            yield answer
        finally:
            stopping.cancel()
            coming.cancel()
            await asyncio.wait({stopping, coming})


async def _next(events: AsyncGenerator[Trimmed | Delta | Finish, None]) -> Trimmed | Delta | Finish | None:
    return await anext(events, None)


def _with(answer: Answer, event: Trimmed | Delta | Finish) -> Answer:
    match event:
        case Trimmed():
            return replace(answer, left_out=event.rounds)
        case Delta():
            first = event.seconds if answer.first_seconds is None else answer.first_seconds
            return replace(answer, text=answer.text + event.text, first_seconds=first, seconds=event.seconds)
        case Finish():
            return replace(answer, finish=event, seconds=event.seconds)
