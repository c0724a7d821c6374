"""What the client asks for, and what it gives of the answer."""

from __future__ import annotations

import asyncio
import logging

import pytest

from baichuan_cli.engine.client import Client, Delta, Finish, ServedModel, ServerError, Usage
from baichuan_cli.errors import BcliError
from engine.asking import HELLO, collect, complete, text, with_client
from fakes.openai_server import POEM, Behaviour, FakeServer, running_server

KEY = "sk-床前".encode().hex()


async def _chat(client: Client) -> tuple[str, Finish | BcliError]:
    pieces, end = await collect(client.chat("demo", HELLO, {"max_tokens": 6}))
    return text(pieces), end


def test_a_chat_is_streamed(server: FakeServer) -> None:
    answer, finish = with_client(server.url, _chat)
    assert isinstance(finish, Finish)
    assert (answer, finish.reason, finish.usage) == (POEM[:6], "length", Usage(4, 6, None))
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].body == {
        "model": "demo",
        "messages": HELLO,
        "max_tokens": 6,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_token_ids_are_continued_with_the_sampling_that_was_given(server: FakeServer) -> None:
    sampling = {
        "max_tokens": 3,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": -1,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.1,
        "stop": ("。",),
        "stop_token_ids": (2, 195),
        "min_tokens": 1,
        "ignore_eos": True,
        "seed": 7,
    }
    pieces, finish = with_client(server.url, lambda client: collect(client.complete("demo", (5, 6, 7, 8), sampling)))
    assert isinstance(finish, Finish)
    assert (text(pieces), finish.reason, finish.usage) == (POEM[:3], "length", Usage(4, 3, None))
    assert server.requests[0].path == "/v1/completions"
    assert server.requests[0].body == {
        "model": "demo",
        "prompt": [5, 6, 7, 8],
        **sampling,
        "stop": ["。"],
        "stop_token_ids": [2, 195],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_text_is_continued(server: FakeServer) -> None:
    pieces, _ = with_client(server.url, lambda client: collect(client.complete("demo", "床前", {"max_tokens": 2})))
    assert [piece.text for piece in pieces] == ["床", "前"]
    assert server.requests[0].body["prompt"] == "床前"


def test_several_answers_of_one_request_are_refused(server: FakeServer) -> None:
    async def ask(client: Client) -> list[Delta | Finish]:
        return [event async for event in client.complete("demo", "床前", {"n": 2})]

    with pytest.raises(BcliError, match="^n is 2, but a stream carries one answer.$"):
        with_client(server.url, ask)
    assert server.requests == []


def test_times_count_from_the_request() -> None:
    with running_server(Behaviour(first_token_seconds=0.2, token_seconds=0.05)) as server:
        pieces, finish = with_client(
            server.url, lambda client: collect(client.complete("demo", [1], {"max_tokens": 3}))
        )
    assert isinstance(finish, Finish)
    assert all(due <= piece.seconds < due + 60 for due, piece in zip([0.2, 0.25, 0.3], pieces, strict=True))
    assert pieces[-1].seconds <= finish.seconds < 60


def test_cached_tokens_are_told() -> None:
    with running_server(Behaviour(cached_tokens=3)) as server:
        _, finish = complete(server.url)
    assert isinstance(finish, Finish) and finish.usage == Usage(4, 6, 3)


@pytest.mark.parametrize(
    "behaviour", [Behaviour(crlf=True), Behaviour(comments=True), Behaviour(crlf=True, comments=True)]
)
def test_other_servers_ways_of_writing_events(behaviour: Behaviour) -> None:
    with running_server(behaviour) as server:
        answer, finish = complete(server.url, len(POEM))
    assert isinstance(finish, Finish)
    assert (answer, finish.usage) == (POEM, Usage(4, len(POEM), None))


def test_a_server_without_stream_options_is_asked_again_and_then_never_with_them() -> None:
    old = Behaviour(rejected_fields=frozenset({"stream_options"}), flat_errors=True)

    async def twice(client: Client) -> list[Finish | BcliError]:
        return [(await collect(client.complete("demo", [1], {"max_tokens": 2})))[1] for _ in range(2)]

    with running_server(old) as server:
        ends = with_client(server.url, twice)
    assert [isinstance(end, Finish) and (end.reason, end.usage) for end in ends] == [("length", None)] * 2
    assert ["stream_options" in request.body for request in server.requests] == [True, False, False]


def test_a_field_that_the_server_does_not_know_is_told() -> None:
    with running_server(Behaviour(rejected_fields=frozenset({"min_tokens"}), flat_errors=True)) as server:
        _, error = with_client(server.url, lambda client: collect(client.complete("demo", [1], {"min_tokens": 2})))
    assert isinstance(error, ServerError)
    assert error.status == 400
    assert "('body', 'min_tokens')" in error.message
    assert len(server.requests) == 1


def test_a_refusal_carries_the_servers_own_words(server: FakeServer) -> None:
    _, error = complete(server.url, 5000)
    words = "This model's maximum context length is 4096 tokens. However, you requested 5000 output tokens and your "
    words += "prompt contains 4 input tokens."
    assert isinstance(error, ServerError)
    assert (error.status, error.reason) == (400, words)
    assert error.message == f"The server at {server.url} refused the request (400): {words}"
    assert error.hint == "Shorten the prompt, or ask for fewer tokens."


def test_models_are_listed() -> None:
    with running_server(models=("demo", "demo-alibi")) as server:
        models = with_client(server.url, Client.models)
    assert models == (ServedModel("demo", 4096, "/models/demo"), ServedModel("demo-alibi", 4096, "/models/demo-alibi"))


@pytest.mark.parametrize("address", ["{host}", "{host}/", "{host}/v1/", "http://{host}/v1/chat/completions"])
def test_the_address_may_be_written_in_several_ways(server: FakeServer, address: str) -> None:
    host = server.url.removeprefix("http://").removesuffix("/v1")
    assert complete(address.format(host=host))[0] == POEM[:6]


def test_answers_one_after_the_other_share_a_connection(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baichuan_cli.engine.client._DRAIN", 60)  # however slow the end of a stream is to come

    async def thrice(client: Client) -> None:
        for _ in range(3):
            await collect(client.complete("demo", [1], {"max_tokens": 5}))

    with_client(server.url, thrice)
    assert len({request.connection for request in server.requests}) == 1


def test_two_hundred_answers_come_at_the_same_time() -> None:
    async def ask(client: Client) -> set[str]:
        streams = (collect(client.complete("demo", [1], {"max_tokens": 4})) for _ in range(200))
        return {text(pieces) for pieces, _ in await asyncio.gather(*streams)}

    with running_server(Behaviour(together=200)) as server:
        assert with_client(server.url, ask) == {POEM[:4]}
    assert len({request.connection for request in server.requests}) == 200


def test_the_key_is_sent_and_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = Client("http://localhost", api_key=KEY)
    with running_server(api_key=KEY) as server:
        answer, _ = complete(server.url, api_key=f"{KEY}\n")
        _, error = complete(server.url, api_key=f"{KEY}x")
    assert answer == POEM[:6]
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert isinstance(error, ServerError) and error.status == 401
    assert KEY not in repr(client) + repr(error) + error.message + error.hint + caplog.text


@pytest.mark.parametrize("key", ["sk-1\nHost: elsewhere", "sk-“1”"])
def test_a_key_that_no_header_can_hold(key: str) -> None:
    with pytest.raises(BcliError, match="^The API key has characters that cannot be sent.$"):
        Client("http://localhost", api_key=key)


def test_a_password_and_a_key_are_one_too_many() -> None:
    with pytest.raises(BcliError, match="^There is a password in the address and an API key"):
        Client("http://me:secret@localhost", api_key=KEY)
