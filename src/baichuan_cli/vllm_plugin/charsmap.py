"""SentencePiece's `precompiled_charsmap`: which sequences of characters become which text.

Layout (https://github.com/google/sentencepiece/blob/master/src/normalizer.cc, and the double array of darts-clone):
the size of the array in bytes as a little-endian u32, the array of u32 units over UTF-8 bytes, then the replacement
texts, each ended by a zero byte. A unit holds its label in bits 0-7 (with bit 31: a leaf, whose other bits are the
place of its text), whether it has a leaf in bit 8, and the way to its children in bits 9-30.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

_LEAF = 1 << 31
_HAS_LEAF = 1 << 8
_LONG_WAY = 1 << 9


class Charsmap:
    """The table of one model.

    Attributes:
        single: what each single character of the table becomes.
        beginning: the first characters of its longer sequences.
        sequences: a regular expression for the longest sequence of two or more characters at a place.
        continuing: the second and later characters of those sequences.

    Raises:
        ValueError: the table is cut short.
    """

    def __init__(self, blob: bytes) -> None:
        size = struct.unpack_from("<I", blob)[0] if len(blob) >= 4 else 0
        if not size or size % 4 or len(blob) < 4 + size:
            raise ValueError("the normaliser's table is cut short.")
        self._units: tuple[int, ...] = struct.unpack_from(f"<{size // 4}I", blob, 4)
        self._texts = blob[4 + size :]
        self._children: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for position, unit in enumerate(self._units):
            if not unit & _LEAF and (label := unit & 0xFF):
                self._children[position ^ label].append((label, position))

        first = list(self._characters(self._base(0)))
        self.single = {character: self._text(end) for character, end in first if self._units[end] & _HAS_LEAF}
        self.continuing: set[str] = set()
        self._tails: dict[int, str] = {}
        tails = {character: tail for character, end in first if (tail := self._tail(end))}
        self.beginning = tails.keys()
        self.sequences = _alternatives(tails.items())

    def _text(self, position: int) -> str:
        start = self._units[self._base(position)] & ~_LEAF
        return self._texts[start : self._texts.index(b"\0", start)].decode()

    def _base(self, position: int) -> int:
        unit = self._units[position]
        return position ^ (unit >> 10 << ((unit & _LONG_WAY) >> 6))

    def _characters(self, base: int, head: bytes = b"") -> Iterator[tuple[str, int]]:
        """Yield each character that may come next, and the place of its last byte's unit."""
        for label, position in self._children[base]:
            read = head + bytes((label,))
            if len(read) == _length(read[0]):
                yield read.decode(), position
            else:
                yield from self._characters(self._base(position), read)

    def _tail(self, position: int) -> str:
        """Return the expression for what may follow a prefix. The array shares common ends, so each is built once."""
        base = self._base(position)
        if base not in self._tails:
            following = list(self._characters(base))
            self.continuing.update(character for character, _ in following)
            self._tails[base] = _alternatives((character, self._optional_tail(end)) for character, end in following)
        return self._tails[base]

    def _optional_tail(self, position: int) -> str:
        tail = self._tail(position)
        return f"{tail}?" if tail and self._units[position] & _HAS_LEAF else tail


def compile_single(single: Mapping[str, str]) -> bytes:
    """Return a table of single characters alone.

    SentencePiece's own array shares the leaves of characters with the same text, so it cannot be changed in place.
    Here each node has 256 units to itself.
    """
    texts = bytearray()
    nodes: dict[bytes, int] = {b"": 1}  # the block of each prefix; block 0 is the root unit's own
    for character in single:
        encoded = character.encode()
        for end in range(1, len(encoded)):
            nodes.setdefault(encoded[:end], len(nodes) + 1)
    units = [0] * (256 * (len(nodes) + 1))
    units[0] = 256 << 10
    for prefix, block in nodes.items():
        if prefix:
            position = 256 * nodes[prefix[:-1]] + prefix[-1]
            units[position] = (position ^ 256 * block) << 10 | prefix[-1]
    for character, text in single.items():
        encoded = character.encode()
        position = 256 * nodes[encoded[:-1]] + encoded[-1]
        units[position] = (position ^ len(units)) << 10 | _HAS_LEAF | encoded[-1]
        units.append(_LEAF | len(texts))
        texts += text.encode() + b"\0"
    return struct.pack(f"<{len(units) + 1}I", 4 * len(units), *units) + bytes(texts)


def _length(first_byte: int) -> int:
    return 1 if first_byte < 0x80 else 2 if first_byte < 0xE0 else 3 if first_byte < 0xF0 else 4


def _alternatives(tails: Iterable[tuple[str, str]]) -> str:
    """Return the expression for characters with their tails, equal tails taken together; empty for none."""
    by_tail: defaultdict[str, list[str]] = defaultdict(list)
    for character, tail in tails:
        by_tail[tail].append(character)
    parts = [f"{character_class(characters)}{tail}" for tail, characters in by_tail.items()]
    return f"(?:{'|'.join(parts)})" if parts else ""


def character_class(characters: Iterable[str]) -> str:
    """Return a class of these characters, for a regular expression of Python or of the Rust tokenizer."""
    ranges: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return f"[{''.join(_range(low, high) for low, high in ranges)}]"


def _range(low: int, high: int) -> str:
    return re.escape(chr(low)) if low == high else f"{re.escape(chr(low))}-{re.escape(chr(high))}"
