"""Tell systemd how a service is: the few lines of its `sd_notify` protocol."""

from __future__ import annotations

import os
import socket

#: The socket's address; set by systemd for units of `Type=notify`, absent everywhere else.
VARIABLE = "NOTIFY_SOCKET"


def notify(state: str) -> None:
    """Send a state such as `READY=1`, `STOPPING=1` or `STATUS=loading weights`; nothing where nobody listens."""
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux's abstract namespace
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.connect(address)
        notifications.sendall(state.encode())
