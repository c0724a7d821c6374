"""Reading a stream without waiting for ever."""

from __future__ import annotations

import asyncio

import aiohttp


class PatientReader:
    """Reads the body of a response, and gives up when nothing comes for too long.

    It has one timer, which looks every now and then how long the reader has been waiting: a timer a read would cost a
    seventh of what a benchmark of many streams can take. Time that the caller spends between two reads does not count.

    Args:
        content: the body.
        limit: seconds to wait for the next bytes.
    """

    def __init__(self, content: aiohttp.StreamReader, limit: float) -> None:
        self._content = content
        self._loop = asyncio.get_running_loop()
        self._waiting_since: float | None = None
        self._limit = limit
        self._timer = self._loop.call_later(limit, self._look)

    def set_limit(self, seconds: float) -> None:
        """Wait this long from now on."""
        self._limit = seconds
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look)

    async def read(self) -> bytes:
        """Return what has come, b"" at the end.

        Raises:
            asyncio.TimeoutError: nothing came in time.
            aiohttp.ClientError: the connection broke.
        """
        self._waiting_since = self._loop.time()
        received = await self._content.readany()
        self._waiting_since = None
        return received

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        due = (now if self._waiting_since is None else self._waiting_since) + self._limit
        if due <= now:
            self._content.set_exception(asyncio.TimeoutError())
        else:
            self._timer = self._loop.call_at(due, self._look)
