"""A reverse proxy that puts another server behind a path and takes the path off, as nginx does with
`location /bcli/ { proxy_pass http://127.0.0.1:8001/; }`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp import web

_OWN = ("connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length")


@contextmanager
def prefix_proxy(prefix: str, upstream: str) -> Iterator[str]:
    """Run the proxy in a thread until the block ends; give its address, with the prefix."""
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    port = 0

    async def serve() -> None:
        nonlocal port
        async with aiohttp.ClientSession(auto_decompress=True) as session:

            async def forward(request: web.Request) -> web.StreamResponse:
                address = upstream + request.raw_path.removeprefix(prefix)
                headers = {**request.headers, "X-Forwarded-Host": request.host}
                body = await request.read()
                answered = session.request(
                    request.method, address, headers=headers, data=body or None, allow_redirects=False
                )
                async with answered as answer:
                    kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _OWN]
                    response = web.StreamResponse(status=answer.status)
                    for name, value in kept:
                        response.headers.add(name, value)
                    await response.prepare(request)
                    async for chunk in answer.content.iter_any():
                        await response.write(chunk)
                    return response

            application = web.Application()
            application.router.add_route("*", prefix + "/{path:.*}", forward)
            runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            started.set()
            await stop.wait()
            await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    started.wait()
    try:
        yield f"http://127.0.0.1:{port}{prefix}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
