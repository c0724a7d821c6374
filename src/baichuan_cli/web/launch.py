"""Serving the page until a signal ends it."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from baichuan_cli.web.address import Address
from baichuan_cli.web.application import application
from baichuan_cli.web.talk import Talk

_GRACE = 1  # seconds in which open pages may end by themselves


async def serve_page(talk: Talk, address: Address, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve the page until SIGINT or SIGTERM, which is raised again afterwards.

    Args:
        talk: has looked which models there are.
        address: as `listener` was reserved for.
        listener: where the page listens.
        on_ready: called once the page can be opened.
    """
    app = application(talk, root_path=address.root_path, login=address.login)
    server = _Server(uvicorn.Config(app, log_config=None, log_level="critical", timeout_graceful_shutdown=_GRACE))
    server.on_ready = on_ready
    await server.serve([listener])


class _Server(uvicorn.Server):
    on_ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready()
