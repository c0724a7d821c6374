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
    """Events that come at once up to the next `None`, and go on when they are let; then a server that says nothing.

    Attributes:
        more: lets the next ones come.
        hung_up: whether the one who asked for them has gone.
    """

    def __init__(self, *events: Delta | Finish | Exception | None) -> None:
        self._events = events
        self.more = asyncio.Event()
        self.hung_up = False

    async def come(self) -> AsyncGenerator[Delta | Finish, None]:
        try:
            for event in self._events:
                if event is None:
                    await self.more.wait()
                elif isinstance(event, Exception):
                    raise event
                else:
                    yield event
            if self._events[-1] is not END:
                await asyncio.Event().wait()
        finally:
            self.hung_up = True


def test_pieces_are_gathered_and_the_end_does_not_wait_for_a_tick() -> None:
    async def answers() -> list[Answer]:
        pieces = Pieces(Delta("床", 0.1), None, Delta("前", 0.2), Delta("明", 0.3), END)
        seen = []
        async for answer in follow(pieces.come(), asyncio.Event(), tick=60):
            seen.append(answer)
            pieces.more.set()
        return seen

    assert asyncio.run(asyncio.wait_for(answers(), 5)) == [Answer("床", 0.1, 0.1), Answer("床前明", 0.1, 1.0, END)]


def test_a_piece_that_nothing_follows_is_shown_within_a_tick() -> None:
    async def second() -> Answer:
        pieces = Pieces(Delta("床", 0.1), None, Delta("前", 0.2))
        async with aclosing(follow(pieces.come(), asyncio.Event(), tick=0.01)) as answers:
            assert (await anext(answers)).text == "床"
            pieces.more.set()
            last = await asyncio.wait_for(anext(answers), 5)
        assert pieces.hung_up
        return last

    assert asyncio.run(second()) == Answer("床前", 0.1, 0.2)


def test_pieces_that_come_while_an_update_is_sent_make_one_update() -> None:
    async def second() -> Answer:
        pieces = Pieces(Delta("床", 0.1), None, *(Delta("前", 0.2) for _ in range(100)), None)
        async with aclosing(follow(pieces.come(), asyncio.Event(), tick=0)) as answers:
            await anext(answers)
            pieces.more.set()
            await asyncio.sleep(0)  # whoever sends the update lets others have their turn
            return await anext(answers)

    assert asyncio.run(second()).text == "床" + 100 * "前"


def test_stop_keeps_what_is_there_and_hangs_up() -> None:
    async def stopped() -> list[Answer]:
        pieces = Pieces(Delta("床", 0.1), None)
        stop = asyncio.Event()
        seen = []
        async for answer in follow(pieces.come(), stop, tick=60):
            seen.append(answer)
            stop.set()
        assert pieces.hung_up
        return seen

    assert asyncio.run(stopped()) == [Answer("床", 0.1, 0.1), Answer("床", 0.1, 0.1, stopped=True)]


def test_what_came_before_an_error_is_shown_first() -> None:
    async def broken() -> list[Answer]:
        pieces = Pieces(Delta("床", 0.1), None, Delta("前", 0.2), ServerError("gone"))
        seen = []
        with pytest.raises(ServerError, match="gone"):
            async for answer in follow(pieces.come(), asyncio.Event(), tick=60):
                seen.append(answer)
                pieces.more.set()
        return seen

    assert asyncio.run(broken()) == [Answer("床", 0.1, 0.1), Answer("床前", 0.1, 0.2)]
