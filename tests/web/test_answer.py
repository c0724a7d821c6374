"""How the pieces of an answer are gathered, stopped and lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from baichuan_cli.engine.client import Delta, Finish, ServerError
from baichuan_cli.web.answer import Answer, follow

END = Finish("stop", None, 1.0)


class Pieces:
    """Events that come when they are let, and whether the one who asked for them has hung up."""

    def __init__(self, *events: Delta | Finish | Exception) -> None:
        self._events = events
        self.hung_up = False

    async def come(self) -> AsyncGenerator[Delta | Finish, None]:
        try:
            for event in self._events:
                if isinstance(event, Exception):
                    raise event
                yield event
            await asyncio.Event().wait()  # a server that says nothing more
        finally:
            self.hung_up = True


def test_pieces_are_gathered_and_the_end_is_told() -> None:
    async def answers() -> list[Answer]:
        async with aclosing(whole()) as events:
            return [answer async for answer in follow(events, asyncio.Event(), tick=60)]

    async def whole() -> AsyncGenerator[Delta | Finish, None]:
        for event in (Delta("床", 0.1), Delta("前", 0.2), Delta("明", 0.3), END):
            yield event

    # At most one update a tick, and the whole at the end.
    assert asyncio.run(answers()) == [Answer("床", 0.1, 0.1), Answer("床前明", 0.1, 1.0, END)]


def test_a_piece_that_nothing_follows_is_shown_within_a_tick() -> None:
    pieces = Pieces(Delta("床", 0.1), Delta("前", 0.2))

    async def second() -> Answer:
        async with aclosing(follow(pieces.come(), asyncio.Event(), tick=0.01)) as answers:
            assert (await anext(answers)).text == "床"
            return await asyncio.wait_for(anext(answers), 5)

    assert asyncio.run(second()) == Answer("床前", 0.1, 0.2)
    assert pieces.hung_up


def test_stop_keeps_what_is_there_and_hangs_up() -> None:
    pieces = Pieces(Delta("床", 0.1))

    async def stopped() -> list[Answer]:
        stop = asyncio.Event()
        seen = []
        async for answer in follow(pieces.come(), stop):
            seen.append(answer)
            stop.set()
        assert pieces.hung_up
        return seen

    assert asyncio.run(stopped()) == [Answer("床", 0.1, 0.1), Answer("床", 0.1, 0.1, stopped=True)]


def test_what_came_before_an_error_is_shown_first() -> None:
    pieces = Pieces(Delta("床", 0.1), Delta("前", 0.2), ServerError("gone"))

    async def broken() -> list[Answer]:
        seen = []
        with pytest.raises(ServerError, match="gone"):
            async for answer in follow(pieces.come(), asyncio.Event(), tick=60):
                seen.append(answer)
        return seen

    assert asyncio.run(broken())[-1] == Answer("床前", 0.1, 0.2)
