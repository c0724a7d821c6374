"""The first script of the page, which runs before Gradio chooses a language.

Gradio knows `zh-CN` but no plain `zh`, and would show a German a page that is half in German. So every browser's
language becomes one of the two that this page has. Gradio adds scripts of its users too late for this.
"""

from __future__ import annotations

from baichuan_cli.web.asgi import Application, Message, Receive, Send

_SCRIPT = b"""<head>
<script>
(() => {
  const language = /^zh/i.test(navigator.language) ? "zh-CN" : "en";
  Object.defineProperty(navigator, "language", { value: language });
  document.documentElement.lang = language;
})();
</script>
"""


class Opening:
    """An ASGI application that adds the script to another one's page."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self._application(scope, receive, send)
            return
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._application({**scope, "headers": plain}, receive, _adding(send))


def _adding(send: Send) -> Send:
    """Return a `send` that holds the start of an answer back until the length of its one body is known."""
    start: Message = {}

    async def send_with_script(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body = message.get("body", b"").replace(b"<head>", _SCRIPT, 1)
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({**message, "body": body})

    return send_with_script
