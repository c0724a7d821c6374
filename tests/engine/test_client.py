"""The client against a server that answers as vLLM does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest

from baichuan_cli.engine.client import Client, Delta, Finish, ServedModel, ServerError, Usage
from fakes.openai_server import POEM, FakeServer, running_server


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server() as server:
        yield server


async def collect(events: AsyncGenerator[Delta | Finish, None]) -> tuple[str, Finish]:
    """Return the whole text and the end of an answer."""
    text = ""
    async for event in events:
        match event:
            case Delta():
                text += event.text
            case Finish():
                finish = event
    return text, finish


def test_a_chat_is_streamed(server: FakeServer) -> None:
    async def ask() -> tuple[str, Finish]:
        async with Client(server.url) as client:
            return await collect(client.chat("demo", [{"role": "user", "content": "背一首诗"}], {"max_tokens": 6}))

    text, finish = asyncio.run(ask())
    assert (text, finish.reason, finish.usage) == (POEM[:6], "length", Usage(4, 6, None))
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].body == {
        "model": "demo",
        "messages": [{"role": "user", "content": "背一首诗"}],
        "max_tokens": 6,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_token_ids_are_continued(server: FakeServer) -> None:
    sampling = {"max_tokens": 3, "temperature": 0.5, "top_k": -1, "stop_token_ids": (2, 195), "ignore_eos": True}

    async def ask() -> tuple[str, Finish]:
        async with Client(server.url) as client:
            return await collect(client.complete("demo", (5, 6, 7, 8), sampling))

    text, finish = asyncio.run(ask())
    assert (text, finish.reason, finish.usage) == (POEM[:3], "length", Usage(4, 3, None))
    assert server.requests[0].path == "/v1/completions"
    assert server.requests[0].body == {
        "model": "demo",
        "prompt": [5, 6, 7, 8],
        "max_tokens": 3,
        "temperature": 0.5,
        "top_k": -1,
        "stop_token_ids": [2, 195],
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_models_are_listed(server: FakeServer) -> None:
    async def ask() -> tuple[ServedModel, ...]:
        async with Client(server.url) as client:
            return await client.models()

    assert asyncio.run(ask()) == (ServedModel("demo", 4096, "/models/demo"),)


def test_a_refusal_carries_the_servers_own_words(server: FakeServer) -> None:
    async def ask() -> None:
        async with Client(server.url) as client:
            await collect(client.complete("demo", "床前明月光", {"max_tokens": 5000}))

    with pytest.raises(ServerError) as refused:
        asyncio.run(ask())
    words = "This model's maximum context length is 4096 tokens. However, you requested 5000 output tokens and your "
    words += "prompt contains 5 input tokens."
    assert (refused.value.status, refused.value.reason) == (400, words)
    assert words in refused.value.message
