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
from baichuan_cli.engine.endpoint import api_root, proxy_for, shown
from baichuan_cli.engine.openai_event import DONE, EventReader
from baichuan_cli.engine.patience import PatientReader
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
        self._key = _sendable(api_key or "")
        self._timeouts = timeouts
        self._asks_for_usage = True
        if self._key and self._root != self._shown:
            raise BcliError(
                "There is a password in the address and an API key: only one of them can be sent.",
                hint="Leave one away.",
            )

    async def __aenter__(self) -> Client:
        self._proxy = proxy_for(self._root)
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            skip_auto_headers=("Accept-Encoding",),  # a proxy that compresses a stream holds it back
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
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
        limit = self._timeouts.models
        response, _ = await self._send("GET", "/models", None, limit)
        try:
            async with timeout(limit), response:
                body = await response.read()
        except asyncio.TimeoutError as error:
            raise self._silent(limit) from error
        except aiohttp.ClientError as error:
            raise self._broken_off() from error
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
        first_event, between_events = self._timeouts.first_event, self._timeouts.between_events
        reader = PatientReader(response.content, max(0.0, sent + first_event - perf_counter()))
        parser, events = EventParser(), EventReader()
        reason: str | None = None
        usage: Usage | None = None
        seconds: float | None = None
        done = False
        try:
            while not done and (received := await reader.read()):
                now = perf_counter() - sent
                for data in parser.feed(received):
                    if seconds is None:
                        reader.set_limit(between_events)
                    seconds = now
                    if data == DONE:
                        done = True
                        break
                    text, ends_for, counts = events.read(data)
                    if text is not None:
                        yield Delta(text, seconds)
                    reason = ends_for or reason
                    usage = counts or usage
            if done:
                await _drain(reader)
        except asyncio.TimeoutError as error:
            if reason is None:
                raise self._silent(first_event if seconds is None else between_events) from error
        except aiohttp.ClientError as error:
            if reason is None:
                raise self._broken_off() from error
        finally:
            reader.stop()
            response.close()  # does nothing where the stream has ended and the connection is back in the pool
        if not (done or reason):
            raise self._unfinished(response)
        yield Finish(reason, usage, seconds or 0.0)

    async def _start(self, route: str, body: dict[str, Any]) -> tuple[aiohttp.ClientResponse, float]:
        """Send a request for a stream."""
        if body.get("n", 1) != 1:
            raise BcliError(f"n is {body['n']}, but a stream carries one answer.", hint="Ask several times instead.")
        try:
            return await self._start_with_usage(route, {**body, "stream": True})
        except ServerError as error:
            if error.status == 404:
                raise await self._unknown_model(body["model"], error) from error
            raise

    async def _start_with_usage(self, route: str, body: dict[str, Any]) -> tuple[aiohttp.ClientResponse, float]:
        """Ask for token counts too, until the server turns out not to know that."""
        limit = self._timeouts.first_event
        if self._asks_for_usage:
            try:
                return await self._send("POST", route, body | _USAGE, limit)
            except ServerError as error:
                if error.status not in (400, 422) or "stream_options" not in error.message:
                    raise
            self._asks_for_usage = False
        return await self._send("POST", route, body, limit)

    async def _unknown_model(self, model: str, error: ServerError) -> ServerError:
        """Return the error for a 404 in the terms of what the server has, if that can be learned."""
        try:
            names = [served.name for served in await self.models()]
        except ServerError:
            return error
        if model in names:
            return error
        return ServerError(
            f"The server at {self._shown} has no model {model!r}.",
            hint=f"It has: {', '.join(names)}",
            status=404,
            reason=error.reason,
        )

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
                        method, self._root + route, data=content, proxy=self._proxy, allow_redirects=False
                    )
                    if response.status == 200:
                        return response, sent
                    async with response:
                        answered = await response.read()
                raise self._refusal(response, answered)
            except aiohttp.ClientError as error:
                if delay is None or not was_refused(error):
                    raise lost(self._shown, error) from error
            except asyncio.TimeoutError as error:
                raise self._silent(limit) from error
            await asyncio.sleep(delay)
        raise AssertionError("the last attempt returns or raises")

    def _refusal(self, response: aiohttp.ClientResponse, answered: bytes) -> ServerError:
        if self._key:  # some servers repeat it
            answered = answered.replace(self._key.encode(), b"***")
        return refusal(self._shown, response.status, answered, response.headers)

    def _silent(self, limit: float) -> ServerError:
        return ServerError(
            f"The server at {self._shown} sent nothing for {limit:g} s.",
            hint="It may be overloaded or stuck: look at its log.",
        )

    def _broken_off(self) -> ServerError:
        return ServerError(
            f"The server at {self._shown} broke off in mid-answer.", hint="It may have crashed: look at its log."
        )

    def _unfinished(self, response: aiohttp.ClientResponse) -> ServerError:
        """Return the error for a body that ended too early, or was no stream from the beginning."""
        if response.content_type == "text/event-stream":
            return self._broken_off()
        return ServerError(
            f"The server at {self._shown} sent {response.content_type} instead of a stream of events.",
            hint="Check the address: an OpenAI-compatible server answers there.",
            status=response.status,
        )


async def _drain(reader: PatientReader) -> None:
    """Read to the end of the body, so that the connection can be used again."""
    reader.set_limit(_DRAIN)
    with suppress(asyncio.TimeoutError, aiohttp.ClientError):
        while await reader.read():
            pass


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
