"""Server-sent events from bytes, however the network has cut them.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html, of which OpenAI's API uses `data` alone.
"""

from __future__ import annotations

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventParser:
    """Collects bytes and gives the data of each event that is complete."""

    def __init__(self) -> None:
        self._pending = b""  # what has come of the next event, its lines ending with \n
        self._held = b""  # a \r, or the beginning of a byte order mark, that the next bytes explain
        self._at_start = True

    def feed(self, received: bytes) -> list[bytes]:
        r"""Return the data of the events that these bytes complete.

        Lines may end with \n, \r\n or \r. Events without data, and what is no `data` field, are dropped.
        """
        if self._at_start or self._held or b"\r" in received:
            received = self._plain(received)
        *events, self._pending = (self._pending + received).split(b"\n\n")
        return [data for event in events if (data := _data(event)) is not None]

    def _plain(self, received: bytes) -> bytes:
        r"""Return the bytes without a byte order mark, all lines ending with \n."""
        received = self._held + received
        self._held = b""
        if self._at_start:
            if len(received) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(received):
                self._held = received
                return b""
            received = received.removeprefix(_BYTE_ORDER_MARK)
            self._at_start = False
        if received.endswith(b"\r"):
            received, self._held = received[:-1], b"\r"
        return received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _data(event: bytes) -> bytes | None:
    """Return the data of one event, several lines of it joined; None where there is none."""
    if b"\n" not in event and event.startswith(b"data: "):  # what servers send
        return event[6:]
    values = [
        value.removeprefix(b" ")
        for line in event.split(b"\n")
        for name, _, value in [line.partition(b":")]
        if name == b"data"
    ]
    return b"\n".join(values) if values else None
