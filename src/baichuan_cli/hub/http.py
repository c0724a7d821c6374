"""Opening a file over HTTP at any byte.

huggingface_hub 2 deletes an unfinished file when it stops, so that nothing can be resumed, and its HTTP library is
another one in every major release. Bytes therefore come through the standard library, which honours the proxy
variables as well.
"""

from __future__ import annotations

import email.utils
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from typing import IO, Any
from urllib.parse import urlsplit

from baichuan_cli.hub.network import check_proxy, proxies
from baichuan_cli.hub.source import Content, RangeRefusedError, SourceError, TemporaryProblem

_SILENCE_SECONDS = 20.0  # without a byte for so long, a connection is taken as broken
_LONGEST_ANSWER = 1 << 24
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpRefusalError(Exception):
    """The server says no, and will say so again."""

    def __init__(self, status: int, headers: Message) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers


class _Body:
    """The body of a response, whose breaks are temporary problems."""

    def __init__(self, response: http.client.HTTPResponse, start: int) -> None:
        self.start = start
        self._response = response

    def readinto(self, buffer: memoryview) -> int:
        try:
            count = self._response.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise TemporaryProblem(f"the connection broke ({_cause(error)})") from None
        if not count and self._response.length:
            raise TemporaryProblem(f"the connection ended {self._response.length:,} bytes early")
        return count


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects; a token stays with its host, for content networks must not see it."""

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302  # Python 3.10 does not know it

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        known = http.HTTPStatus.TEMPORARY_REDIRECT if code == http.HTTPStatus.PERMANENT_REDIRECT else code
        following = super().redirect_request(req, fp, known, msg, headers, newurl)  # type: ignore[arg-type]
        if following is not None and _origin(newurl) != _origin(req.full_url):
            following.remove_header("Authorization")
            following.remove_header("Cookie")
        return following


@contextmanager
def open_url(
    url: str,
    headers: Mapping[str, str],
    offset: int = 0,
    data: bytes | None = None,
    *,
    silence: float = _SILENCE_SECONDS,
) -> Iterator[Content]:
    """Open a URL at a byte; with `data`, by POST. After `silence` seconds without a byte it is taken as broken.

    Raises:
        TemporaryProblem: the server is busy or cannot be reached.
        RangeRefusedError: the server does not give it from this byte on.
        HttpRefusalError: the server says no.
        SourceError: the server's certificate is not trusted, or the proxy cannot be used.
    """
    check_proxy(url)
    wanted = {"Accept-Encoding": "identity", **headers}  # compression would make offsets meaningless
    if offset:
        wanted["Range"] = f"bytes={offset}-"
    with _respond(urllib.request.Request(url, data=data, headers=wanted), silence) as response:
        yield _Body(response, _start(response, offset))


def read_all(
    url: str, headers: Mapping[str, str], data: bytes | None = None, *, silence: float = _SILENCE_SECONDS
) -> bytes:
    """Return what an address holds, an answer of an API for instance; it may be 16 MiB long.

    Raises:
        TemporaryProblem, HttpRefusalError, SourceError: as `open_url`.
    """
    answer = bytearray()
    buffer = memoryview(bytearray(1 << 16))
    with open_url(url, headers, data=data, silence=silence) as content:
        while count := content.readinto(buffer):
            answer += buffer[:count]
            if len(answer) > _LONGEST_ANSWER:
                raise SourceError(f"its answer is longer than {_LONGEST_ANSWER:,} bytes")
    return bytes(answer)


def _respond(request: urllib.request.Request, silence: float) -> Any:
    try:
        opener = urllib.request.build_opener(_Redirects(), urllib.request.ProxyHandler(proxies()))
        return opener.open(request, timeout=silence)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise RangeRefusedError from None
        if error.code in _BUSY:
            raise TemporaryProblem(f"the server answered {error.code} {error.msg}", _retry_after(error)) from None
        raise HttpRefusalError(error.code, error.headers) from None
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise SourceError(f"the certificate of {request.host} is not trusted ({reason.verify_message})") from None
        raise TemporaryProblem(f"{request.host} did not answer ({_cause(reason)})") from None


def _start(response: http.client.HTTPResponse, offset: int) -> int:
    """Return the byte that a response starts with: 0 where the server ignores ranges."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    _, _, content_range = (response.headers.get("Content-Range") or "").partition(" ")
    first = content_range.partition("-")[0]
    if first != str(offset):
        raise RangeRefusedError
    return offset


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    """Return the seconds of a Retry-After header, which may also be a date (RFC 9110, 10.2.3)."""
    text = error.headers.get("Retry-After") or ""
    if text.isdigit():
        return float(text)
    date = email.utils.parsedate_tz(text)
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None


def _cause(reason: object) -> str:
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
