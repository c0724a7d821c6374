"""An OpenAI-compatible server on loopback that is as slow, and fails, exactly as it is told.

It answers as vLLM does: `/v1/models`, `/v1/completions`, `/v1/chat/completions`, `/health`, `/metrics`, with one event
a token. Token number i is sent at arrival + first_token_seconds + i * token_seconds; being late with one does not make
the next one late. In a process of its own, where no other thread holds the interpreter:

    PYTHONPATH=tests python -m fakes.openai_server --first-token-ms 50 --token-ms 10 --tokens 100

prints its address and runs until its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from fakes.openai_answer import Answer, broken, prompt_tokens, refused, unauthorized
from fakes.openai_behaviour import POEM, Behaviour, FakeServer, Fault, Recorded

__all__ = ["POEM", "Behaviour", "FakeServer", "Fault", "Recorded", "running_server", "server_process"]

_KV_TOKENS = 65536  # what the KV cache is said to hold
_AT_ONCE = Behaviour()
_SERVER = web.AppKey("server", FakeServer)


@contextmanager
def running_server(behaviour: Behaviour = _AT_ONCE, **settings: Any) -> Iterator[FakeServer]:
    """Run a server in a thread until the block ends."""
    server = FakeServer(behaviour, **settings)
    started = threading.Event()
    loop = _precise_loop()
    stop = asyncio.Event()

    def run() -> None:
        try:
            loop.run_until_complete(_serve(server, 0, started, stop))
        finally:
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    assert server.url, "the server did not start"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@contextmanager
def server_process(*arguments: str) -> Iterator[str]:
    """Run a server in a process with these options until the block ends; give its address."""
    command = [sys.executable, "-m", "fakes.openai_server", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def _precise_loop() -> asyncio.AbstractEventLoop:
    # epoll waits whole milliseconds and rounds up; select() takes microseconds.
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def _serve(server: FakeServer, port: int, started: threading.Event, stop: asyncio.Event) -> None:
    application = web.Application(client_max_size=64 << 20)
    application[_SERVER] = server
    application.add_routes(
        [
            web.get("/v1/models", _models),
            web.post("/v1/completions", _completions),
            web.post("/v1/chat/completions", _completions),
            web.get("/health", _health),
            web.get("/metrics", _metrics),
        ]
    )
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    started.set()
    await stop.wait()
    await runner.cleanup()


async def _health(_: web.Request) -> web.Response:
    return web.Response()


async def _models(request: web.Request) -> web.Response:
    server = request.app[_SERVER]
    if (error := _without_key(server, request)) is not None:
        return error
    return web.json_response(
        {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "root": f"/models/{name}", "max_model_len": server.max_model_len}
                for name in server.models
            ],
        }
    )


async def _metrics(request: web.Request) -> web.Response:
    server = request.app[_SERVER]
    held = sum(prompt_tokens(r.body) + r.sent_tokens for r in server.requests if not r.ended.is_set())
    gauges = {
        "num_requests_running": server.running,
        "num_requests_waiting": server.waiting,
        "kv_cache_usage_perc": held / _KV_TOKENS,
    }
    labels = f'{{engine="0",model_name="{server.models[0]}"}}'
    lines = []
    for name, value in gauges.items():
        lines += [f"# TYPE vllm:{name} gauge", f"vllm:{name}{labels} {float(value)}"]
    for name, count in server.counters.items():
        lines += [f"# TYPE vllm:{name}_total counter", f"vllm:{name}_total{labels} {float(count)}"]
    return web.Response(text="\n".join(lines) + "\n")


async def _completions(request: web.Request) -> web.StreamResponse:
    arrived = asyncio.get_running_loop().time()
    server = request.app[_SERVER]
    assert request.transport
    port = request.transport.get_extra_info("peername")[1]
    recorded = Recorded(request.path, dict(request.headers), {}, time.perf_counter(), port)
    server.requests.append(recorded)
    fault = server.behaviour.fault if len(server.requests) % server.behaviour.fault_every == 0 else None
    try:
        recorded.body = await request.json()
        if (error := _without_key(server, request)) is not None:
            return error
        if (error := refused(server, recorded.body, fault)) is not None:
            return error
        if fault is Fault.DROP:
            return broken(request)
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        answer = Answer(server, recorded, arrived, fault)
        return await (answer.stream(request) if recorded.body.get("stream") else answer.whole())
    except asyncio.CancelledError:
        recorded.disconnected = True
        raise
    except ConnectionError:
        recorded.disconnected = True
        return web.Response()  # for nobody
    finally:
        recorded.ended.set()


def _without_key(server: FakeServer, request: web.Request) -> web.Response | None:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return None if server.api_key in (None, given) else unauthorized()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--api-key")
    parser.add_argument("--first-token-ms", type=float, default=0)
    parser.add_argument("--token-ms", type=float, default=0)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--cached-tokens", type=int)
    parser.add_argument("--fault", choices=[fault.value for fault in Fault])
    parser.add_argument("--fault-every", type=int, default=1)
    parser.add_argument("--fault-after", type=int, default=0)
    given = parser.parse_args()
    behaviour = Behaviour(
        first_token_seconds=given.first_token_ms / 1000,
        token_seconds=given.token_ms / 1000,
        tokens=given.tokens,
        cached_tokens=given.cached_tokens,
        fault=Fault(given.fault) if given.fault else None,
        fault_every=given.fault_every,
        fault_after=given.fault_after,
    )
    server = FakeServer(behaviour, (given.model,), given.api_key)
    started = threading.Event()
    loop = _precise_loop()
    stop = asyncio.Event()

    def until_stdin_ends() -> None:
        started.wait()
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=until_stdin_ends).start()
    loop.run_until_complete(_serve(server, given.port, started, stop))
    loop.close()


if __name__ == "__main__":
    main()
