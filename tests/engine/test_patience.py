"""A stream that falls silent is given up, and a reader that takes its time is no silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol

from baichuan_cli.engine.patience import PatientReader


def with_body(read: Callable[[StreamReader], Awaitable[bytes]]) -> bytes:
    """Run something with the body of a response, which the test itself feeds."""

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        connection = BaseProtocol(loop)
        connection.connection_made(asyncio.Transport())
        return await read(StreamReader(connection, 2**16, loop=loop))

    return asyncio.run(run())


def test_time_between_two_reads_does_not_count() -> None:
    async def read(body: StreamReader) -> bytes:
        reader = PatientReader(body, 0.05)
        received = b""
        for piece in (b"1", b"2", b"3"):
            body.feed_data(piece)
            received += await reader.read()
            await asyncio.sleep(0.2)
        reader.stop()
        return received

    assert with_body(read) == b"123"


def test_silence_is_given_up() -> None:
    async def read(body: StreamReader) -> bytes:
        reader = PatientReader(body, 60)
        body.feed_data(b"1")
        await reader.read()
        reader.set_limit(0.05)
        return await reader.read()

    with pytest.raises(asyncio.TimeoutError):
        with_body(read)
