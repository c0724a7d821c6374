"""One streaming client for OpenAI-compatible servers: vLLM 0.5.0 to 0.33, and others.

    async with Client("http://localhost:8000/v1") as client:
        async with aclosing(client.complete("demo", "床前明月光", {"max_tokens": 24})) as answer:
            async for event in answer: ...  # Delta, Delta, …, Finish

An answer that is left early closes its connection, and vLLM then aborts the request. `aclosing` makes that happen at
once instead of when the iterator is collected. Import this module inside functions: aiohttp takes its time.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from types import TracebackType
from typing import Any

import aiohttp

from baichuan_cli.engine.connection_error import lost, was_refused
from baichuan_cli.engine.endpoint import api_root, is_loopback, shown
from baichuan_cli.engine.openai_event import DONE, read_event
from baichuan_cli.engine.server_error import ServerError, refusal, told
from baichuan_cli.engine.sse import EventParser
from baichuan_cli.engine.stream import Delta, Finish, ServedModel, Timeouts, Usage
from baichuan_cli.errors import BcliError

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

__all__ = ["Client", "Delta", "Finish", "ServedModel", "ServerError", "Timeouts", "Usage"]

_TIMEOUTS = Timeouts()
_RETRY_DELAYS = (0.1, 0.4)  # seconds, between attempts to connect
_KEEP_ALIVE = 4.0  # seconds; uvicorn closes an idle connection after 5, and a request must not meet that
_DRAIN = 1.0  # seconds for a stream to end after it has said so; only then can its connection be used again
_USAGE = {"stream_options": {"include_usage": True}}


class Client:
    """Asks one server, for any number of answers at the same time.

    Args:
        base_url: "http://host:8000/v1"; the scheme and `/v1` may be left away.
        api_key: sent with every request, and never shown.
        timeouts: how long to wait.

    Raises:
        BcliError: `base_url` is no address, or `api_key` cannot be sent.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, timeouts: Timeouts = _TIMEOUTS) -> None:
        self._root = api_root(base_url)
        self._shown = shown(self._root)
        self._timeouts = timeouts
        self._headers = {"Authorization": f"Bearer {_sendable(api_key)}"} if api_key else {}
        self._asks_for_usage = True

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", **self._headers},
            skip_auto_headers=("Accept-Encoding",),  # a proxy that compresses a stream holds it back
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
            trust_env=not is_loopback(self._root),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def models(self) -> tuple[ServedModel, ...]:
        """Return what the server serves, in its order.

        Raises:
            ServerError: it could not be asked, or what it answers is no list of models.
        """
        response, _ = await self._send("GET", "/models", None, self._timeouts.models)
        async with response:
            body = await response.read()
        try:
            return tuple(
                ServedModel(entry["id"], entry.get("max_model_len"), entry.get("root"))
                for entry in json.loads(body)["data"]
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ServerError(
                f"What answers at {self._shown}/models is no list of models: {told(body)}",
                hint="Check the address: an OpenAI-compatible server answers there.",
                status=response.status,
            ) from error

    def chat(
        self, model: str, messages: Sequence[Mapping[str, str]], sampling: Mapping[str, object]
    ) -> AsyncGenerator[Delta | Finish, None]:
        """Stream the answer to a conversation, laid out by the server's own chat template.

        Args:
            model: a name of `models()`.
            messages: {"role": …, "content": …} each.
            sampling: by the names of vLLM's SamplingParams; a server that is not vLLM may refuse some.

        Yields:
            The pieces as they come, and a Finish.

        Raises:
            ServerError: anything went wrong; the pieces that were given hold.
        """
        return self._stream("/chat/completions", {"model": model, "messages": list(messages), **sampling})

    def complete(
        self, model: str, prompt: str | Sequence[int], sampling: Mapping[str, object]
    ) -> AsyncGenerator[Delta | Finish, None]:
        """Stream the continuation of a text or of token ids; otherwise as `chat`."""
        text_or_ids = prompt if isinstance(prompt, str) else list(prompt)
        return self._stream("/completions", {"model": model, "prompt": text_or_ids, **sampling})

    async def _stream(self, route: str, body: dict[str, Any]) -> AsyncGenerator[Delta | Finish, None]:
        response, sent = await self._start(route, body)
        parser = EventParser()
        reason: str | None = None
        usage: Usage | None = None
        seconds, limit = 0.0, self._timeouts.first_event
        done = False
        try:
            while not done and (received := await self._read(response, limit)):
                seconds = perf_counter() - sent
                limit = self._timeouts.between_events
                for data in parser.feed(received):
                    if data == DONE:
                        done = True
                        break
                    event = read_event(data)
                    reason = event.finish_reason or reason
                    usage = event.usage or usage
                    if event.text is not None:
                        yield Delta(event.text, seconds)
            if done:
                await self._drain(response)
        finally:
            response.close()  # does nothing where the stream has ended and the connection is back in the pool
        if not (done or reason):
            raise self._cut(response, seconds)
        yield Finish(reason, usage, seconds)

    async def _start(self, route: str, body: dict[str, Any]) -> tuple[aiohttp.ClientResponse, float]:
        """Send a request for a stream; without a word about usage to servers that know none."""
        body = {**body, "stream": True}
        if not self._asks_for_usage:
            return await self._send("POST", route, body, self._timeouts.first_event)
        try:
            return await self._send("POST", route, body | _USAGE, self._timeouts.first_event)
        except ServerError as error:
            if error.status not in (400, 422) or "stream_options" not in error.message:
                raise
        self._asks_for_usage = False
        return await self._send("POST", route, body, self._timeouts.first_event)

    async def _send(
        self, method: str, route: str, body: dict[str, Any] | None, limit: float
    ) -> tuple[aiohttp.ClientResponse, float]:
        """Return the response, whose body is still to come, and when the request was sent."""
        content = None if body is None else json.dumps(body).encode()
        for delay in (*_RETRY_DELAYS, None):
            sent = perf_counter()
            try:
                async with timeout(limit):
                    response = await self._session.request(
                        method, self._root + route, data=content, allow_redirects=False
                    )
                    if response.status == 200:
                        return response, sent
                    async with response:
                        answered = await response.read()
                retry_after = response.headers.get("Retry-After")
                raise refusal(self._shown, response.status, answered, retry_after)
            except aiohttp.ClientError as error:
                if delay is None or not was_refused(error):
                    raise lost(self._shown, error) from error
            except asyncio.TimeoutError as error:
                raise self._silent(limit) from error
            await asyncio.sleep(delay)
        raise AssertionError("the last attempt returns or raises")

    async def _read(self, response: aiohttp.ClientResponse, limit: float) -> bytes:
        """Return what has come, b"" at the end."""
        try:
            async with timeout(limit):
                return await response.content.readany()
        except asyncio.TimeoutError as error:
            raise self._silent(limit) from error
        except aiohttp.ClientError as error:
            raise ServerError(
                f"The server at {self._shown} closed the connection in mid-answer.",
                hint="It may have crashed: look at its log.",
            ) from error

    async def _drain(self, response: aiohttp.ClientResponse) -> None:
        with suppress(asyncio.TimeoutError, aiohttp.ClientError):
            async with timeout(_DRAIN):
                await response.content.read()

    def _silent(self, limit: float) -> ServerError:
        return ServerError(
            f"The server at {self._shown} sent nothing for {limit:g} s.",
            hint="It may be overloaded or stuck: look at its log.",
        )

    def _cut(self, response: aiohttp.ClientResponse, seconds: float) -> ServerError:
        if response.content_type != "text/event-stream":
            return ServerError(
                f"The server at {self._shown} sent {response.content_type} instead of a stream of events.",
                hint="Check the address: an OpenAI-compatible server answers there.",
                status=response.status,
            )
        return ServerError(
            f"The answer broke off after {seconds:.1f} s.", hint="The server may have crashed: look at its log."
        )


def _sendable(api_key: str) -> str:
    """Return a key as it goes into a header; files end with a newline that is not meant.

    Raises:
        BcliError: it has characters that no header can hold.
    """
    key = api_key.strip()
    if not (key.isascii() and key.isprintable()):
        raise BcliError(
            "The API key has characters that cannot be sent.", hint="Was it copied whole, and nothing else?"
        )
    return key
