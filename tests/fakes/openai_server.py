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
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from aiohttp import web

POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"  # the answer to everything, a character a token
MAX_MODEL_LEN = 4096
_KV_TOKENS = 65536  # what the KV cache is said to hold


class Fault(Enum):
    """What goes wrong with a request. Those of the first group happen after `Behaviour.fault_after` tokens."""

    CUT = "cut"  # the connection breaks
    SILENT_END = "silent-end"  # the stream ends properly, without finish_reason and [DONE]
    NO_DONE = "no-done"  # the stream ends properly with finish_reason, without [DONE]
    MALFORMED = "malformed"  # an event that is no JSON
    ERROR_EVENT = "error-event"
    STALL = "stall"  # no further token, the connection stays

    UNAUTHORIZED = "401"
    NOT_FOUND = "404"
    RATE_LIMITED = "429"
    FAILED = "500"
    NOT_JSON = "502"
    HANG = "hang"  # never an answer
    DROP = "drop"  # the connection is closed without an answer


@dataclass(frozen=True)
class Behaviour:
    """How requests are answered."""

    first_token_seconds: float = 0.0  # from the arrival of the request
    token_seconds: float = 0.0  # between tokens
    tokens: int | None = None  # an answer; None for the request's max_tokens
    cached_tokens: int | None = None  # of each prompt
    fault: Fault | None = None
    fault_every: int = 1  # the fault happens to one request in this many: the n-th, the 2n-th, …
    fault_after: int = 0  # tokens
    retry_after: int | None = None  # seconds, the header of a 429
    flat_errors: bool = False  # {"object": "error", "message": …} as vLLM up to 0.10.0
    rejected_fields: frozenset[str] = frozenset()  # of a request's body, answered with 400 as vLLM 0.5.0 does
    crlf: bool = False  # lines end with \r\n
    comments: bool = False  # a comment before every event, as proxies send to keep a connection


@dataclass
class Recorded:
    """A request as it came, and what became of it."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    arrived: float  # time.perf_counter()
    sent_tokens: int = 0
    disconnected: bool = False  # the client went before the answer was whole
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass
class FakeServer:
    """The server's state. `behaviour` may be changed between requests; `requests` are the POSTs, in order."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    models: tuple[str, ...] = ("demo",)
    api_key: str | None = None
    max_model_len: int = MAX_MODEL_LEN
    url: str = ""  # with /v1
    requests: list[Recorded] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTERS, 0))

    @property
    def running(self) -> int:
        """Return how many answers have begun and not ended."""
        return sum(not request.ended.is_set() and request.sent_tokens > 0 for request in self.requests)

    @property
    def waiting(self) -> int:
        """Return how many answers have not begun."""
        return sum(not request.ended.is_set() and not request.sent_tokens for request in self.requests)


_COUNTERS = (
    "prompt_tokens",
    "generation_tokens",
    "request_success",
    "prefix_cache_queries",
    "prefix_cache_hits",
)


_SERVER = web.AppKey("server", FakeServer)


@contextmanager
def running_server(behaviour: Behaviour = Behaviour(), **settings: Any) -> Iterator[FakeServer]:
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
    if refused := _without_key(server, request):
        return refused
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
    held = sum(_prompt_tokens(r.body) + r.sent_tokens for r in server.requests if not r.ended.is_set())
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
    behaviour = server.behaviour
    recorded = Recorded(request.path, dict(request.headers), {}, time.perf_counter())
    server.requests.append(recorded)
    number = len(server.requests)
    fault = behaviour.fault if number % behaviour.fault_every == 0 else None
    try:
        recorded.body = await request.json()
        if refused := _without_key(server, request) or _refused(server, recorded.body, fault):
            return refused
        if fault is Fault.DROP:
            return _broken(request)
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        answer = _Answer(server, behaviour, recorded, arrived, fault)
        return await (answer.stream(request) if recorded.body.get("stream") else answer.whole())
    except asyncio.CancelledError:
        recorded.disconnected = True
        raise
    except ConnectionError:
        recorded.disconnected = True
        return web.Response()  # for nobody
    finally:
        recorded.ended.set()


def _broken(request: web.Request) -> web.Response:
    """Break the connection; what is returned reaches nobody."""
    assert request.transport
    request.transport.abort()
    return web.Response()


def _without_key(server: FakeServer, request: web.Request) -> web.Response | None:
    if server.api_key in (None, request.headers.get("Authorization", "").removeprefix("Bearer ")):
        return None
    return web.json_response({"error": "Unauthorized"}, status=401)


def _refused(server: FakeServer, body: Mapping[str, Any], fault: Fault | None) -> web.Response | None:
    """Return the answer to a request that gets none, or None."""
    behaviour = server.behaviour
    if unknown := sorted(behaviour.rejected_fields & body.keys()):
        detail = [
            {"type": "extra_forbidden", "loc": ("body", name), "msg": "Extra inputs are not permitted"}
            for name in unknown
        ]
        return _error(behaviour, 400, str(detail))
    if fault is Fault.NOT_FOUND or body.get("model") not in server.models:
        return _error(behaviour, 404, f"The model `{body.get('model')}` does not exist.", "NotFoundError")
    prompt, wanted = _prompt_tokens(body), int(body.get("max_tokens") or 0)
    if prompt + wanted > server.max_model_len:
        message = f"This model's maximum context length is {server.max_model_len} tokens. However, you requested "
        message += f"{wanted} output tokens and your prompt contains {prompt} input tokens."
        return _error(behaviour, 400, message)
    match fault:
        case Fault.UNAUTHORIZED:
            return web.json_response({"error": "Unauthorized"}, status=401)
        case Fault.RATE_LIMITED:
            answer = _error(behaviour, 429, "Too many requests.", "RateLimitError")
            if behaviour.retry_after is not None:
                answer.headers["Retry-After"] = str(behaviour.retry_after)
            return answer
        case Fault.FAILED:
            return _error(behaviour, 500, "EngineCore encountered an issue.", "InternalServerError")
        case Fault.NOT_JSON:
            page = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body></html>"
            return web.Response(status=502, text=page, content_type="text/html")
    return None


def _error(behaviour: Behaviour, status: int, message: str, kind: str = "BadRequestError") -> web.Response:
    content = {"message": message, "type": kind, "param": None, "code": status}
    return web.json_response(
        {"object": "error", **content} if behaviour.flat_errors else {"error": content}, status=status
    )


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    """Return the length of a prompt: its token ids, or a token for every character."""
    if messages := body.get("messages"):
        return sum(len(message["content"]) for message in messages)
    return len(body.get("prompt", ""))


class _Answer:
    """One answer, streamed or whole."""

    def __init__(
        self, server: FakeServer, behaviour: Behaviour, recorded: Recorded, arrived: float, fault: Fault | None
    ) -> None:
        self.server, self.behaviour, self.recorded, self.arrived, self.fault = (
            server,
            behaviour,
            recorded,
            arrived,
            fault,
        )
        self.chat = recorded.path.endswith("/chat/completions")
        self.tokens = behaviour.tokens or int(recorded.body.get("max_tokens", 16))
        self.limit = self.tokens
        if fault in (Fault.CUT, Fault.SILENT_END, Fault.MALFORMED, Fault.ERROR_EVENT, Fault.STALL):
            self.limit = min(self.tokens, behaviour.fault_after)
        kind = "chat.completion" if self.chat else "text_completion"
        self.head: dict[str, Any] = {
            "id": f"{'chatcmpl' if self.chat else 'cmpl'}-{len(server.requests)}",
            "object": f"{kind}.chunk" if self.chat and recorded.body.get("stream") else kind,
            "created": int(time.time()),
            "model": recorded.body["model"],
        }
        self.loop = asyncio.get_running_loop()

    async def until(self, seconds: float) -> None:
        """Sleep to a time after the arrival."""
        if (left := self.arrived + seconds - self.loop.time()) > 0:
            await asyncio.sleep(left)

    def usage(self) -> dict[str, Any]:
        prompt, cached = _prompt_tokens(self.recorded.body), self.behaviour.cached_tokens
        counters = self.server.counters
        counters["prompt_tokens"] += prompt
        counters["generation_tokens"] += self.tokens
        counters["request_success"] += 1
        counters["prefix_cache_queries"] += prompt
        counters["prefix_cache_hits"] += cached or 0
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self.tokens,
            "total_tokens": prompt + self.tokens,
            "prompt_tokens_details": None if cached is None else {"cached_tokens": cached},
        }

    async def whole(self) -> web.Response:
        await self.until(self.behaviour.first_token_seconds + (self.tokens - 1) * self.behaviour.token_seconds)
        text = "".join(islice(cycle(POEM), self.tokens))
        content = {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": "length"}
        return web.json_response({**self.head, "choices": [choice], "usage": self.usage()})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        behaviour = self.behaviour
        for number, character in enumerate(islice(cycle(POEM), self.limit)):
            await self.until(behaviour.first_token_seconds + number * behaviour.token_seconds)
            if self.chat and not number:
                await response.write(self.event(self.choice({"role": "assistant", "content": ""}, None)))
            reason = "length" if number == self.tokens - 1 else None
            content = {"content": character} if self.chat else character
            await response.write(self.event(self.choice(content, reason)))
            self.recorded.sent_tokens += 1
        match self.fault:
            case Fault.CUT:
                return _broken(request)
            case Fault.SILENT_END:
                return response
            case Fault.MALFORMED:
                await response.write(b'data: {"id": "cmpl-\n\n')
            case Fault.ERROR_EVENT:
                await response.write(
                    self.event({"error": {"message": "EngineCore died.", "type": "InternalServerError", "code": 500}})
                )
            case Fault.STALL:
                await asyncio.Event().wait()
        usage = self.usage()
        if (self.recorded.body.get("stream_options") or {}).get("include_usage"):
            await response.write(self.event({**self.head, "choices": [], "usage": usage}))
        if self.fault is not Fault.NO_DONE:
            await response.write(self.line("[DONE]"))
        await response.write_eof()
        return response

    def choice(self, content: Any, reason: str | None) -> dict[str, Any]:
        part = {"delta": content} if self.chat else {"text": content}
        choice = {"index": 0, **part, "logprobs": None, "finish_reason": reason, "stop_reason": None}
        return {**self.head, "choices": [choice], "usage": None}

    def event(self, content: Mapping[str, Any]) -> bytes:
        return self.line(json.dumps(content, ensure_ascii=False))

    def line(self, data: str) -> bytes:
        text = f": keep-alive\n\ndata: {data}\n\n" if self.behaviour.comments else f"data: {data}\n\n"
        return (text.replace("\n", "\r\n") if self.behaviour.crlf else text).encode()


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
