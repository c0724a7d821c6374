"""Ask a server through the client, and collect what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

from baichuan_cli.engine.client import Client, Delta, Finish
from baichuan_cli.errors import BcliError

T = TypeVar("T")
HELLO = [{"role": "user", "content": "背一首诗"}]


def with_client(url: str, action: Callable[[Client], Awaitable[T]], **settings: Any) -> T:
    """Run an action with a client of its own, to the end."""

    async def run() -> T:
        async with Client(url, **settings) as client:
            return await action(client)

    return asyncio.run(run())


async def collect(events: AsyncGenerator[Delta | Finish, None]) -> tuple[list[Delta], Finish | BcliError]:
    """Return the pieces of an answer and how it ended."""
    pieces: list[Delta] = []
    try:
        async for event in events:
            if isinstance(event, Finish):
                return pieces, event
            pieces.append(event)
    except BcliError as error:
        return pieces, error
    raise AssertionError("the stream ended without a Finish")


def text(pieces: list[Delta]) -> str:
    """Return an answer in one piece."""
    return "".join(piece.text for piece in pieces)


def complete(url: str, tokens: int = 6, **settings: Any) -> tuple[str, Finish | BcliError]:
    """Ask for one completion; return its text and how it ended."""

    async def ask(client: Client) -> tuple[str, Finish | BcliError]:
        pieces, end = await collect(client.complete("demo", [5, 6, 7, 8], {"max_tokens": tokens}))
        return text(pieces), end

    return with_client(url, ask, **settings)
