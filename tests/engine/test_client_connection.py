"""Connections: refused, retried, given up, through proxies, and closed when nobody wants the answer any more."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import aclosing

import aiohttp
import pytest

from baichuan_cli.engine.client import Client, Delta, Finish, ServerError, Timeouts
from baichuan_cli.engine.connection_error import was_refused
from engine.asking import collect, complete, with_client
from fakes.openai_server import POEM, Behaviour, FakeServer, Fault, running_server
from fakes.raw_server import raw_server

ENDLESS = Behaviour(token_seconds=0.01, tokens=100_000)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that stays taken and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def _ended(server: FakeServer) -> bool:
    """Wait until the server has noticed the end of the first request; tell whether the client went away."""
    assert server.requests[0].ended.wait(10)
    return server.requests[0].disconnected


def test_a_server_that_is_not_there(unused_port: int) -> None:
    _, error = complete(f"http://127.0.0.1:{unused_port}")
    assert isinstance(error, ServerError)
    assert error.message == f"Nothing answers at http://127.0.0.1:{unused_port}/v1: Connection refused."
    assert error.hint == "Check the address and that the server runs. One starts with: bcli serve MODEL"


def test_a_host_that_does_not_exist() -> None:
    _, error = complete("http://me:secret@host.invalid")
    assert isinstance(error, ServerError)
    assert error.message.startswith("Nothing answers at http://host.invalid/v1: ")


def test_a_refused_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        port = listening.getsockname()[1]
        refused = asyncio.Event()

        def listen_from_now_on(error: aiohttp.ClientError) -> bool:
            listening.listen()
            refused.set()
            return was_refused(error)

        monkeypatch.setattr("baichuan_cli.engine.client.was_refused", listen_from_now_on)

        async def ask(client: Client) -> str:
            asking = asyncio.ensure_future(collect(client.complete("demo", [1], {})))
            await refused.wait()
            connection, _ = await asyncio.get_running_loop().sock_accept(listening)
            with connection:
                received = await asyncio.get_running_loop().sock_recv(connection, 100)
            asking.cancel()
            return received.decode().splitlines()[0]

        assert with_client(f"http://127.0.0.1:{port}", ask) == "POST /v1/completions HTTP/1.1"


def test_https_where_http_is_spoken(server: FakeServer) -> None:
    address = server.url.replace("http:", "https:")
    _, error = complete(address)
    assert isinstance(error, ServerError)
    assert error.message.startswith(f"{address} does not speak TLS: ")
    assert error.hint == "Try http:// instead of https://"


def test_a_server_that_is_silent_about_its_models() -> None:
    with raw_server(None) as server, pytest.raises(ServerError) as caught:
        with_client(server.url, Client.models, timeouts=Timeouts(models=0.2))
    assert caught.value.message == f"The server at {server.url} sent nothing for 0.2 s."


def test_a_first_token_that_comes_too_late() -> None:
    with running_server(Behaviour(first_token_seconds=30)) as server:
        _, error = complete(server.url, timeouts=Timeouts(first_event=2, between_events=20))
        assert isinstance(error, ServerError)
        assert error.message == f"The server at {server.url} sent nothing for 2 s."
        assert _ended(server)


def test_a_closed_answer_ends_at_the_server() -> None:
    async def ask(client: Client) -> None:
        async with aclosing(client.complete("demo", [1], {})) as answer:
            async for event in answer:
                assert isinstance(event, Delta)
                break

    with running_server(ENDLESS) as server:
        with_client(server.url, ask)
        assert _ended(server)


def test_an_answer_that_is_left_ends_at_the_server() -> None:
    async def ask(client: Client) -> bool:
        async for _ in client.complete("demo", [1], {}):
            break
        return await asyncio.to_thread(_ended, server)

    with running_server(ENDLESS) as server:
        assert with_client(server.url, ask)


@pytest.mark.parametrize("behaviour", [ENDLESS, Behaviour(fault=Fault.HANG), Behaviour(first_token_seconds=100)])
def test_a_cancelled_task_ends_the_request(behaviour: Behaviour) -> None:
    async def ask(client: Client) -> bool:
        asking = asyncio.ensure_future(collect(client.complete("demo", [1], {})))
        while not server.requests or (behaviour is ENDLESS and not server.requests[0].sent_tokens):
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return await asyncio.to_thread(_ended, server)

    with running_server(behaviour) as server:
        assert with_client(server.url, ask)


def test_a_cancelled_answer_leaves_the_others_alone() -> None:
    async def ask(client: Client) -> str:
        other = asyncio.ensure_future(collect(client.complete("demo", [1], {"max_tokens": 20})))
        async with aclosing(client.complete("demo", [1], {})) as answer:
            await anext(answer)
        pieces, end = await other
        assert isinstance(end, Finish)
        return "".join(piece.text for piece in pieces)

    with running_server(Behaviour(token_seconds=0.01)) as server:
        assert with_client(server.url, ask) == POEM[:20]


def test_no_proxy_leads_to_this_machine(server: FakeServer, monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port}")
    assert complete(server.url)[0] == POEM[:6]
    assert complete(server.url.replace("127.0.0.1", "localhost"))[0] == POEM[:6]


def test_a_proxy_leads_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{"data": [{"id": "far"}]}\r\n'
    with raw_server(answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        models = with_client("http://host.invalid", Client.models)
    assert [model.name for model in models] == ["far"]
    assert proxy.requests[0].startswith(b"GET http://host.invalid/v1/models HTTP/1.1\r\n")


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port}")
    _, error = complete("http://host.invalid")
    assert isinstance(error, ServerError)
    assert error.message.startswith(f"The proxy 127.0.0.1:{unused_port} on the way to http://host.invalid/v1 does not")


def test_threads_are_left_as_they_were(server: FakeServer) -> None:
    before = threading.active_count()
    complete(server.url)
    assert threading.active_count() == before
