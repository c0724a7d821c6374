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
    answer = shown = Answer()
    news = asyncio.Event()

    # Reading goes on while an update is sent, so that a busy page sends fewer updates instead of falling behind.
    async def read() -> None:
        nonlocal answer
        async with aclosing(events):
            async for event in events:
                answer = _with(answer, event)
                news.set()

    reading = asyncio.create_task(read())
    stopping = asyncio.create_task(stop.wait())
    for end in (reading, stopping):
        end.add_done_callback(lambda _: news.set())
    try:
        while True:
            await news.wait()
            news.clear()
            if reading.done() or stopping.done():
                break
            if answer is not shown:
                shown = answer
                yield shown
                await asyncio.wait({reading, stopping}, timeout=tick, return_when=asyncio.FIRST_COMPLETED)
        stopped = not reading.done()
        if stopped or answer is not shown:
            yield replace(answer, stopped=stopped)
        if not stopped:
            reading.result()
    finally:
        reading.cancel()
        stopping.cancel()
        await asyncio.wait({reading, stopping})


def _with(answer: Answer, event: Trimmed | Delta | Finish) -> Answer:
    match event:
        case Trimmed():
            return replace(answer, left_out=event.rounds)
        case Delta():
            first = event.seconds if answer.first_seconds is None else answer.first_seconds
            return replace(answer, text=answer.text + event.text, first_seconds=first, seconds=event.seconds)
        case Finish():
            return replace(answer, finish=event, seconds=event.seconds)
