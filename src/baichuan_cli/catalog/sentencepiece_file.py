"""Reading the pieces out of a SentencePiece `tokenizer.model` without the sentencepiece package.

The file is a protocol buffer, `ModelProto`: field 1 repeats once for each piece, and field 1 of a piece is its text
(https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from baichuan_cli.catalog.json_file import damaged

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {_FIXED64: 8, _FIXED32: 4}
_PIECE = _TEXT = 1


def read_pieces(path: Path) -> tuple[str, ...]:
    """Return the pieces in the order of their ids.

    Raises:
        BcliError: the file is cut short or is no SentencePiece model.
    """
    content = path.read_bytes()
    try:
        pieces = tuple(_text(piece) for field, piece in _fields(content) if field == _PIECE)
    except ValueError:
        raise damaged(path, "is cut short or is no SentencePiece model") from None
    if not pieces:
        raise damaged(path, "is no SentencePiece model: it holds no pieces")
    return pieces


def _text(piece: bytes) -> str:
    for field, value in _fields(piece):
        if field == _TEXT:
            return value.decode("utf-8")
    raise ValueError("a piece without a text")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the content of each field; the content of a plain number is left out."""
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            _, position = _varint(message, position)
            yield key >> 3, b""
            continue
        if kind == _BYTES:
            size, position = _varint(message, position)
        elif kind in _FIXED_SIZE:
            size = _FIXED_SIZE[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if position + size > end:
            raise ValueError("a field runs past the end")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("a number runs past the end")
