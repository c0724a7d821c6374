"""Serving the page: until a signal ends it, or beside a model server that this process keeps."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

import uvicorn

from baichuan_cli.engine.client import Client
from baichuan_cli.web.address import Address
from baichuan_cli.web.application import application
from baichuan_cli.web.talk import OwnSampling, Talk

_GRACE = 1  # seconds in which open pages may end by themselves


class PageServer(uvicorn.Server):
    """Serves the page. In the main thread `serve` runs until SIGINT or SIGTERM, which is raised again afterwards.

    Args:
        talk: has looked which models there are.
        address: where the page is.
        on_ready: called once the page can be opened.
    """

    def __init__(self, talk: Talk, address: Address, on_ready: Callable[[], None]) -> None:
        app = application(talk, root_path=address.root_path, login=address.login)
        super().__init__(uvicorn.Config(app, log_config=None, log_level="critical", timeout_graceful_shutdown=_GRACE))
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell that the page can be opened, once it can."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()


@contextmanager
def page_beside(
    client: Client, own_sampling: OwnSampling, address: Address, listener: socket.socket
) -> Iterator[None]:
    """Serve the page in a thread; it can be opened inside the block.

    Args:
        client: to the model server, not entered yet.
        own_sampling: what is known about the models of that server.
        address: where the page is.
        listener: reserved for that address.

    Raises:
        BcliError: the model server cannot be asked for its models.
    """
    ready: Future[None] = Future()
    stop = threading.Event()
    server: PageServer | None = None

    async def serve() -> None:
        nonlocal server
        async with client:
            talk = Talk(client, own_sampling)
            await talk.look()
            server = PageServer(talk, address, on_ready=lambda: ready.set_result(None))
            if not stop.is_set():
                await server.serve([listener])

    with ThreadPoolExecutor(max_workers=1) as thread:
        running = thread.submit(lambda: asyncio.run(serve()))
        try:
            wait({running, ready}, return_when=FIRST_COMPLETED)
            if running.done():
                running.result()
            yield
        finally:
            stop.set()
            if server is not None:
                server.should_exit = True
