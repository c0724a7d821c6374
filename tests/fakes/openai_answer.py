"""What the fake OpenAI server answers to a request, in vLLM's JSON."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from itertools import cycle, islice
from typing import Any

from aiohttp import web

from fakes.openai_behaviour import POEM, Behaviour, FakeServer, Fault, Recorded

_IN_MID_ANSWER = (Fault.CUT, Fault.SILENT_END, Fault.MALFORMED, Fault.ERROR_EVENT, Fault.STALL)


def refused(server: FakeServer, body: Mapping[str, Any], fault: Fault | None) -> web.Response | None:
    """Return the answer to a request that gets an error instead, or None."""
    behaviour = server.behaviour
    if unknown := sorted(behaviour.rejected_fields & body.keys()):
        problems = [
            {"type": "extra_forbidden", "loc": ("body", name), "msg": "Extra inputs are not permitted"}
            for name in unknown
        ]
        return _error(behaviour, 400, str(problems))
    if fault is Fault.NOT_FOUND or body.get("model") not in server.models:
        return _error(behaviour, 404, f"The model `{body.get('model')}` does not exist.", "NotFoundError")
    prompt, wanted = prompt_tokens(body), int(body.get("max_tokens") or 0)
    if prompt + wanted > server.max_model_len:
        message = f"This model's maximum context length is {server.max_model_len} tokens. However, you requested "
        message += f"{wanted} output tokens and your prompt contains {prompt} input tokens."
        return _error(behaviour, 400, message)
    match fault:
        case Fault.UNAUTHORIZED:
            return unauthorized()
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


def unauthorized() -> web.Response:
    """Return the answer to a wrong key, the same in every vLLM."""
    return web.json_response({"error": "Unauthorized"}, status=401)


def broken(request: web.Request) -> web.Response:
    """Break the connection; what is returned reaches nobody."""
    assert request.transport
    request.transport.abort()
    return web.Response()


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Return the length of a prompt: its token ids, or a token for every character."""
    if messages := body.get("messages"):
        return sum(len(message["content"]) for message in messages)
    return len(body.get("prompt", ""))


class Answer:
    """One answer, streamed or whole."""

    def __init__(self, server: FakeServer, recorded: Recorded, arrived: float, fault: Fault | None) -> None:
        self._behaviour = server.behaviour
        self._requests = server.requests
        self._counters = server.counters
        self._recorded = recorded
        self._arrived = arrived  # by the clock of the event loop
        self._fault = fault
        self._chat = recorded.path.endswith("/chat/completions")
        wanted = self._behaviour.tokens or int(recorded.body.get("max_tokens", 16))
        self._text = "".join(islice(cycle(POEM), wanted)) if self._behaviour.text is None else self._behaviour.text
        self._reason = "length" if self._behaviour.text is None else "stop"
        self._tokens = len(self._text)
        self._loop = asyncio.get_running_loop()
        kind = "chat.completion" if self._chat else "text_completion"
        self._head: dict[str, Any] = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-{len(server.requests)}",
            "object": f"{kind}.chunk" if self._chat and recorded.body.get("stream") else kind,
            "created": int(time.time()),
            "model": recorded.body["model"],
        }

    async def whole(self) -> web.Response:
        """Answer in one piece, when the last token is due."""
        await self._until(self._tokens - 1)
        content = {"message": {"role": "assistant", "content": self._text}} if self._chat else {"text": self._text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": self._reason}
        return web.json_response({**self._head, "choices": [choice], "usage": self._usage()})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer with an event a token, each when it is due."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        sent = self._tokens
        if self._fault in _IN_MID_ANSWER:
            sent = min(sent, self._behaviour.fault_after)
        before, after = self._event(self._choice("TEXT")).split(b"TEXT")
        pieces = [json.dumps(character, ensure_ascii=False)[1:-1].encode() for character in self._text[:sent]]
        for number, piece in enumerate(pieces):
            await self._until(number)
            if self._chat and not number:
                await response.write(self._event(self._choice("", begins=True)))
            if number < self._tokens - 1:
                await response.write(before + piece + after)
            else:
                await response.write(self._event(self._choice(self._text[number], self._reason)))
            self._recorded.sent_tokens += 1
        return await self._end(request, response)

    async def _end(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        match self._fault:
            case Fault.CUT:
                return broken(request)
            case Fault.SILENT_END:
                return response
            case Fault.MALFORMED:
                await response.write(b'data: {"id": "cmpl-\n\n')
            case Fault.ERROR_EVENT:
                error = {"message": "EngineCore died.", "type": "InternalServerError", "param": None, "code": 500}
                await response.write(self._event({"error": error}))
            case Fault.STALL:
                await asyncio.Event().wait()
        usage = self._usage()
        if (self._recorded.body.get("stream_options") or {}).get("include_usage"):
            await response.write(self._event({**self._head, "choices": [], "usage": usage}))
        if self._fault is not Fault.NO_DONE:
            await response.write(self._line("[DONE]"))
        if self._fault is Fault.NO_END:
            await asyncio.Event().wait()
        return response

    async def _until(self, number: int) -> None:
        """Sleep until a token is due, and let others have their turn even if it is late."""
        behaviour = self._behaviour
        due = behaviour.first_token_seconds + number * behaviour.token_seconds
        await asyncio.sleep(max(0.0, self._arrived + due - self._loop.time()))
        held = behaviour.go_on if number >= behaviour.held_from else None
        while len(self._requests) < behaviour.together or (held is not None and not held.is_set()):
            await asyncio.sleep(0.005)

    def _usage(self) -> dict[str, Any]:
        prompt, cached = prompt_tokens(self._recorded.body), self._behaviour.cached_tokens
        self._counters["prompt_tokens"] += prompt
        self._counters["generation_tokens"] += self._tokens
        self._counters["request_success"] += 1
        self._counters["prefix_cache_queries"] += prompt
        self._counters["prefix_cache_hits"] += cached or 0
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self._tokens,
            "total_tokens": prompt + self._tokens,
            "prompt_tokens_details": None if cached is None else {"cached_tokens": cached},
        }

    def _choice(self, text: str, reason: str | None = None, *, begins: bool = False) -> dict[str, Any]:
        role = {"role": "assistant"} if begins else {}
        part = {"delta": {**role, "content": text}} if self._chat else {"text": text}
        choice = {"index": 0, **part, "logprobs": None, "finish_reason": reason, "stop_reason": None}
        return {**self._head, "choices": [choice], "usage": None}

    def _event(self, content: Mapping[str, Any]) -> bytes:
        return self._line(json.dumps(content, ensure_ascii=False))

    def _line(self, data: str) -> bytes:
        text = f": keep-alive\n\ndata: {data}\n\n" if self._behaviour.comments else f"data: {data}\n\n"
        return (text.replace("\n", "\r\n") if self._behaviour.crlf else text).encode()


def _error(behaviour: Behaviour, status: int, message: str, kind: str = "BadRequestError") -> web.Response:
    content = {"message": message, "type": kind, "param": None, "code": status}
    nested = {"error": content}
    return web.json_response({"object": "error", **content} if behaviour.flat_errors else nested, status=status)
