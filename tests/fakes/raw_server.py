"""A TCP server that sends the bytes it is told, whatever is asked: for answers that no HTTP library would send."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class RawServer:
    """Where the server is, and the first bytes that each connection has sent."""

    url: str
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def raw_server(answer: bytes | None) -> Iterator[RawServer]:
    """Answer every connection with these bytes and close it; with None keep it open and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = RawServer(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        kept: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):  # the listening socket was shut down
                while True:
                    connection, _ = listening.accept()
                    server.requests.append(connection.recv(65536))
                    if answer is None:
                        kept.append(connection)
                    else:
                        connection.sendall(answer)
                        connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()
