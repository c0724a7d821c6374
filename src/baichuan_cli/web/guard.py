"""What stands before Gradio: only what the page uses passes, from this page only, and nothing leads elsewhere."""

from __future__ import annotations

from baichuan_cli.web.asgi import Application, Message, Receive, Send

_API = "/gradio_api/"

#: Gradio can also take uploads, fetch addresses and give out files; this page needs none of that.
_USED = ("queue/", "run/", "heartbeat/", "cancel", "reset")

#: The browser itself keeps the page from asking any other host, such as for a picture in an answer. Gradio's own
#: scripts need `unsafe-inline` and `unsafe-eval`.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'self'; "
    "form-action 'self'; base-uri 'self'; object-src 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """An ASGI application before another one.

    Args:
        application: what answers.
        root_path: the path that the page has at a proxy, such as "/bcli", or "". Requests may come with it or,
            where the proxy takes it off, without.
    """

    def __init__(self, application: Application, root_path: str) -> None:
        self._application = application
        self._root_path = root_path

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        path = scope["path"]
        if self._root_path and path == self._root_path:
            await _answer(send, 307, (b"location", f"{self._root_path}/".encode()))
            return
        if self._root_path and path.startswith(f"{self._root_path}/"):
            path = path.removeprefix(self._root_path)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        if path.startswith(_API) and not path.removeprefix(_API).startswith(_USED):
            await _answer(send, 404)
        elif scope["method"] not in ("GET", "HEAD") and _foreign(scope):
            await _answer(send, 403)
        else:
            await self._application(scope, receive, _with_headers(send))


def _foreign(scope: Message) -> bool:
    """Tell whether another site's page sends this; the browser says so."""
    return dict(scope["headers"]).get(b"sec-fetch-site") in (b"cross-site", b"same-site")


def _with_headers(send: Send) -> Send:
    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await send(message)

    return send_more


async def _answer(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
