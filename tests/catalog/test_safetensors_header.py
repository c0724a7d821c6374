"""A safetensors file passes only when it is whole, and no bytes at all give a traceback."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.catalog.safetensors_header import Tensor, read_header
from baichuan_cli.errors import BcliError, ExitCode


def build(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


WHOLE = build(
    {
        "__metadata__": {"format": "pt"},
        "b": {"dtype": "F16", "shape": [2, 3], "data_offsets": [16, 28]},
        "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "scalar": {"dtype": "BF16", "shape": [], "data_offsets": [28, 30]},
        "empty": {"dtype": "I32", "shape": [0, 7], "data_offsets": [30, 30]},
    },
    bytes(30),
)


def read(content: bytes) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(content)
        return read_header(path)


def test_a_whole_file_is_read() -> None:
    tensors = read(WHOLE)
    assert tensors["a"] == Tensor("F32", (4,), 0, 16)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "a": (4,),
        "b": (2, 3),
        "scalar": (),
        "empty": (0, 7),
    }


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_cut_short_anywhere_is_refused(length: int) -> None:
    with pytest.raises(BcliError) as caught:
        read(WHOLE[:length])
    assert caught.value.exit_code == ExitCode.INVALID
    assert "model.safetensors" in caught.value.message


@given(st.binary(min_size=1, max_size=40))
def test_bytes_too_many_are_refused(extra: bytes) -> None:
    with pytest.raises(BcliError, match="where its header speaks of"):
        read(WHOLE + extra)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_never_gives_a_traceback_and_never_hides_missing_data(position: int, change: int) -> None:
    content = bytearray(WHOLE)
    content[position] ^= change
    try:
        tensors = read(bytes(content))
    except BcliError as error:
        assert error.exit_code == ExitCode.INVALID
    else:
        assert max(tensor.end for tensor in tensors.values()) == 30


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(content: bytes) -> None:
    try:
        tensors = read(content)
    except BcliError:
        return
    assert sum(tensor.end - tensor.begin for tensor in tensors.values()) < len(content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["F16", "F32", "F4", "", 3]), "shape": JSON, "data_offsets": JSON | st.just([0, 2])}
)


@given(st.dictionaries(st.text(max_size=5), ENTRY | JSON, max_size=3) | JSON, st.binary(max_size=16))
def test_any_json_header_is_refused_or_read(header: object, data: bytes) -> None:
    try:
        tensors = read(build(header, data))
    except BcliError:
        return
    assert sum(tensor.end - tensor.begin for tensor in tensors.values()) == len(data)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 2]}},
        {"a": {"dtype": "F16", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F16", "shape": [True, 2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F16", "shape": [2], "data_offsets": [4, 0]}},
        {"a": {"dtype": "F16", "shape": [2], "data_offsets": [2, 6]}},
        {
            "a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
            "b": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
        },
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
        b"null",
    ],
)
def test_a_header_that_makes_no_sense_is_refused(header: object) -> None:
    with pytest.raises(BcliError, match="is damaged"):
        read(build(header, bytes(4)))
