"""Server-sent events are read the same however the bytes are cut."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.engine.sse import EventParser


def fed(*pieces: bytes) -> list[bytes]:
    parser = EventParser()
    return [data for piece in pieces for data in parser.feed(piece)]


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A stream with line ends, comments and other fields of all kinds, and the data of its events."""
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    payloads = draw(st.lists(st.text().map(lambda text: json.dumps({"text": text}, ensure_ascii=False)), max_size=6))
    noise = st.sampled_from(["", ": ping\n\n", ":\n", "event: message\n", "id: 7\nretry: 10\n", "\n", "data\n"])
    events = [draw(noise) + f"data:{draw(st.sampled_from(['', ' ']))}{payload}\n\n" for payload in payloads]
    text = draw(st.sampled_from(["", "\ufeff"])) + "".join(events)
    expected = [
        (("\n" if event.startswith("data\n") else "") + payload).encode()
        for event, payload in zip(events, payloads, strict=True)
    ]
    return text.replace("\n", newline).encode(), expected


@given(streams(), st.data())
def test_any_cut_of_the_bytes_gives_the_same_events(stream: tuple[bytes, list[bytes]], data: st.DataObject) -> None:
    content, expected = stream
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)))))
    pieces = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    # A lone \r at the very end may be the first half of \r\n: the event comes with the next byte.
    assert fed(*pieces, b":") == expected


def test_an_event_comes_with_its_last_byte() -> None:
    parser = EventParser()
    assert parser.feed('data: "月'.encode()[:-1]) == []
    assert parser.feed('月"'.encode()[2:]) == []
    assert parser.feed(b"\n") == []
    assert parser.feed(b"\n") == ['"月"'.encode()]


def test_an_unfinished_event_is_none() -> None:
    assert fed(b"data: 1\n\ndata: 2\n") == [b"1"]


def test_several_lines_of_data_are_one_event() -> None:
    assert fed(b'data: {"a":\ndata:  1}\n\n') == [b'{"a":\n 1}']


def test_line_separators_inside_a_text_end_no_line() -> None:
    text = "a\u2028b\u0085c\x0bd"
    assert fed(f"data: {text}\n\n".encode()) == [text.encode()]
