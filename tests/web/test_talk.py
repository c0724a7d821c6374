"""Questions and answers as the page shows them, over real HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from baichuan_cli.engine.client import Client, ServerError
from baichuan_cli.web.conversation import History, assistant, text_of, user
from baichuan_cli.web.sampling import Knobs
from baichuan_cli.web.talk import Question, Shown, Talk
from fakes.openai_server import POEM, Behaviour, FakeServer, running_server

T = TypeVar("T")

KNOBS = Knobs(False, 0.5, 0.9, 0, 1.0, 24)


def with_talk(server: FakeServer, use: Callable[[Talk], Coroutine[Any, Any, T]]) -> T:
    """Run something with a page's talk that has looked which models there are."""

    async def run() -> T:
        async with Client(server.url) as client:
            talk = Talk(client, lambda served: None)
            await talk.look()
            return await use(talk)

    return asyncio.run(run())


async def everything(talk: Talk, history: History, text: str, knobs: Knobs = KNOBS) -> list[Shown]:
    return [shown async for shown in talk.answer("tab", history, Question(text, "demo", "", knobs), "en")]


def test_a_question_is_shown_at_once_and_its_answer_as_it_comes() -> None:
    with running_server(Behaviour(token_seconds=0.02)) as server:
        shown = with_talk(server, lambda talk: everything(talk, [], "你好"))
    assert shown[0] == Shown([user("你好")], "waiting for the first token …", running=True)
    between = [text_of(view.history[1]) for view in shown[1:-1]]
    assert between == sorted(between, key=len) and between[-1] == POEM
    assert all(view.running and view.status == "" for view in shown[1:-1])
    assert shown[-1].history == [user("你好"), assistant(POEM)]
    assert not shown[-1].running


def test_the_oldest_rounds_are_left_out_until_it_fits() -> None:
    history = [user("一" * 20), assistant("壹" * 20), user("二"), assistant("贰"), user("三"), assistant("叁")]

    async def ask_twice(talk: Talk) -> list[Shown]:
        shown = await everything(talk, history, "四")
        await everything(talk, shown[-1].history, "五", KNOBS._replace(max_tokens=1))
        return shown

    with running_server(max_model_len=40) as server:
        shown = with_talk(server, ask_twice)
    # What was refused once is not tried again with the next question.
    assert [len(request.body["messages"]) for request in server.requests] == [7, 5, 7]
    assert [message["content"] for message in server.requests[1].body["messages"]] == ["二", "贰", "三", "叁", "四"]
    assert shown[-1].status.endswith(
        "29 of 40 tokens of context used · cut off at the longest answer"
        " · the first round no longer fits and was left out"
    )
    assert shown[-1].history == [*history, user("四"), assistant(POEM)]


def test_a_question_that_never_fits_is_told() -> None:
    with running_server(max_model_len=20) as server:
        shown = with_talk(server, lambda talk: everything(talk, [user("一"), assistant("壹")], "二"))
    assert [len(request.body["messages"]) for request in server.requests] == [3, 1]
    assert shown[-1].history[-1]["metadata"] == {"title": "This question is too long."}
    assert "maximum context length is 20 tokens" in text_of(shown[-1].history[-1])


def test_what_is_stopped_before_it_began_is_told() -> None:
    async def stop(talk: Talk) -> list[Shown]:
        seen = []
        async for shown in talk.answer("tab", [], Question("你好", "demo", "", KNOBS), "en"):
            seen.append(shown)
            talk.tabs.stop("another tab")
            talk.tabs.stop("tab")
        return seen

    with running_server(Behaviour(first_token_seconds=60)) as server:
        _, last = with_talk(server, stop)
    assert last.history[-1]["metadata"] == {"title": "Stopped before the answer began."}
    assert re.fullmatch(r"stopped · \d+\.\d s", last.status)


def test_a_new_question_in_a_tab_takes_the_place_of_the_one_before() -> None:
    async def ask_twice(talk: Talk) -> tuple[list[Shown], list[Shown]]:
        first = asyncio.create_task(everything(talk, [], "一"))
        while not server.running:
            await asyncio.sleep(0.01)
        server.behaviour = Behaviour()
        second = await everything(talk, [], "二")
        return await first, second

    with running_server(Behaviour(token_seconds=60, tokens=2)) as server:
        first, second = with_talk(server, ask_twice)
        assert server.requests[0].ended.wait(30) and server.requests[0].disconnected
    assert all(view.running for view in first)
    assert second[-1].history == [user("二"), assistant(POEM)]


def test_a_server_without_a_model_is_an_error() -> None:
    with running_server(models=()) as server, pytest.raises(ServerError, match="lists no model"):
        with_talk(server, lambda talk: everything(talk, [], "你好"))


def test_models_that_are_gone_can_still_be_asked_for() -> None:
    async def ask(talk: Talk) -> list[Shown]:
        question = Question("你好", "gone", "", KNOBS)
        return [shown async for shown in talk.answer("tab", [], question, "zh")]

    with running_server() as server:
        shown = with_talk(server, ask)
    assert shown[-1].history[-1]["metadata"] == {"title": "服务端没有这个模型。"}
