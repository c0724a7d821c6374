"""Reading the header of a safetensors file: what it holds, and whether it is whole, without loading a tensor.

A file is eight bytes with the header's length (little-endian), the header as JSON, and the tensors one after another
with no gap: https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baichuan_cli.catalog.json_file import damaged
from baichuan_cli.errors import BcliError

_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000  # the format's own limit

_ELEMENT_BITS: Mapping[str, int] = {
    **{"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32},
    **{"F16": 16, "BF16": 16, "I16": 16, "U16": 16},
    **{"I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8},
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as the header describes it."""

    dtype: str  # in the format's spelling: "BF16", "I32"
    shape: tuple[int, ...]
    begin: int  # bytes from the end of the header
    end: int


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Raises:
        BcliError: the file is cut short, is longer than its header says, or has a header that makes no sense.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if size < _LENGTH_BYTES or length > min(size - _LENGTH_BYTES, _LONGEST_HEADER):
            raise damaged(path, f"is no whole safetensors file: its {size:,} bytes do not hold its header")
        header = _parse(path, file.read(length))
    tensors = {name: _tensor(path, name, entry) for name, entry in header.items() if name != "__metadata__"}
    expected = _LENGTH_BYTES + length + _packed_end(path, tensors)
    if size < expected:
        raise damaged(path, f"is cut short: {size:,} of {expected:,} bytes are there")
    if size > expected:
        raise damaged(path, f"is damaged: {size:,} bytes where its header speaks of {expected:,}")
    return tensors


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise damaged(path, "is damaged: its header is no JSON") from None
    if not isinstance(header, dict):
        raise damaged(path, "is damaged: its header is no JSON object")
    return header


def _tensor(path: Path, name: str, entry: object) -> Tensor:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]} if all(
            type(number) is int and number >= 0 for number in (*shape, begin, end)
        ):
            tensor = Tensor(dtype, tuple(shape), begin, end)
        case _:
            raise _misdescribed(path, name)
    bits = _ELEMENT_BITS.get(dtype)
    if begin > end or (bits and math.prod(shape) * bits != (end - begin) * 8):
        raise _misdescribed(path, name)
    return tensor


def _packed_end(path: Path, tensors: Mapping[str, Tensor]) -> int:
    """Return where the last tensor ends; tensors that overlap or leave a gap are refused."""
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != position:
            raise _misdescribed(path, name)
        position = tensor.end
    return position


def _misdescribed(path: Path, name: str) -> BcliError:
    return damaged(path, f"is damaged: its header does not describe {name!r} properly")
