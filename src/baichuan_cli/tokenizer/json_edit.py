"""Changing single values of a JSON file, with every other byte as it was: people read the difference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from baichuan_cli.catalog.special_tokens import JsonPath

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands: its own bytes, and those of the whole member, key included."""

    member: int
    start: int
    end: int


class _Absent:
    """What a value becomes that is taken out."""


ABSENT = _Absent()


def edit_json(text: bytes, changes: Mapping[JsonPath, Any]) -> bytes:
    """Return a JSON text with some values replaced, or taken out where the new one is `ABSENT`.

    A key that the top object lacks is put in front of the others.

    Raises:
        ValueError: the text is no JSON in UTF-8, a path leads nowhere, or a key occurs twice on the way.
    """
    text.decode()
    expected = _changed(json.loads(text), changes)
    present = dict(_places(text))
    for path in changes:
        if path not in present:
            text = _with_member(text, str(path[0]))
    places = dict(_places(text))
    edits: list[tuple[int, int, bytes]] = []
    for path, value in changes.items():
        place = places[path]
        if value is ABSENT:
            edits.append((*_with_comma(text, place), b""))
        else:
            edits.append((place.start, place.end, json.dumps(value, ensure_ascii=False).encode()))
    edited = text
    for start, end, new in sorted(edits, reverse=True):
        edited = edited[:start] + new + edited[end:]
    if json.loads(edited) != expected:
        raise ValueError("a key occurs twice")
    return edited


def _changed(content: Any, changes: Mapping[JsonPath, Any]) -> Any:
    for path, value in changes.items():
        holder = content
        try:
            for key in path[:-1]:
                holder = holder[key]
            if value is ABSENT:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
        except LookupError:
            raise ValueError(f"there is no {'.'.join(map(str, path))}") from None
    return content


def _places(text: bytes) -> Iterator[tuple[JsonPath, _Place]]:
    """Yield where each value of a valid JSON text stands; of equal keys the last one comes last."""
    begin = len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0
    tokens = list(_TOKEN.finditer(text, begin))
    position = 0

    def read(path: JsonPath, member: int | None) -> Iterator[tuple[JsonPath, _Place]]:
        nonlocal position
        first = tokens[position]
        position += 1
        if first[0] in b"{[":
            yield from members(path, first[0] == b"{")
        yield path, _Place(first.start() if member is None else member, first.start(), tokens[position - 1].end())

    def members(path: JsonPath, is_object: bool) -> Iterator[tuple[JsonPath, _Place]]:
        nonlocal position
        index = 0
        while tokens[position][0] not in b"}]":
            if tokens[position][0] == b",":
                position += 1
            key: str | int = index
            start = tokens[position].start()
            if is_object:
                key = json.loads(tokens[position][0])
                position += 2
            yield from read((*path, key), start)
            index += 1
        position += 1

    yield from read((), None)


def _with_comma(text: bytes, place: _Place) -> tuple[int, int]:
    """Return what to cut so that a member is gone with the comma that parts it from its neighbour."""
    if match := re.compile(rb"\s*,\s*").match(text, place.end):
        return place.member, match.end()
    before = re.search(rb",\s*\Z", text[: place.member])
    return (before.start() if before else place.member), place.end


def _with_member(text: bytes, key: str) -> bytes:
    """Return an object with one more member in front, laid out as the first one is."""
    match = re.match(rb"(?:\xef\xbb\xbf)?\s*\{(\s*)(\}?)", text)
    assert match is not None  # a dictionary was read from it
    space, is_empty = match[1], bool(match[2])
    return (
        text[: match.end(1)]
        + json.dumps(key).encode()
        + b": null"
        + (b"" if is_empty else b"," + (space or b" "))
        + text[match.end(1) :]
    )
