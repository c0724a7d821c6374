"""Converting `.bin` weights to safetensors, one tensor at a time.

A `.bin` file is a pickle. It is mapped into memory and read with weights only, so that nothing in it is executed. Each
tensor is written from the mapping as it is: safetensors' own `save_file` would copy a whole shard first.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.fetch import UNFINISHED_SUFFIX
from baichuan_cli.hub.manifest import FileRecord

if TYPE_CHECKING:
    import torch

_INDEX = "model.safetensors.index.json"
_LENGTH_BYTES = 8
_ALIGNMENT = 8
_DTYPES = {
    **{"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"},
    **{"int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL"},
    **{"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"},
}


def convert_weights(folder: Path, names: Sequence[str]) -> dict[str, FileRecord]:
    """Write `.bin` files of a checkpoint once more as safetensors, still under unfinished names.

    Returns:
        The records of the new files, the index included where there are several, by the names that they will have.

    Raises:
        BcliError: a file holds something that is no tensor, or that only running its code would give.
        OSError: the disk is full.
    """
    records: dict[str, FileRecord] = {}
    weight_map: dict[str, str] = {}
    tensor_bytes = 0
    for path in (folder / name for name in names):
        tensors = _load(path)
        name = path.name.replace("pytorch_model", "model").removesuffix(".bin") + ".safetensors"
        records[name] = _write(folder / f"{name}{UNFINISHED_SUFFIX}", tensors)
        weight_map.update(dict.fromkeys(tensors, name))
        tensor_bytes += sum(tensor.nbytes for tensor in tensors.values())
    if len(records) > 1:
        index = {"metadata": {"total_size": tensor_bytes}, "weight_map": dict(sorted(weight_map.items()))}
        text = json.dumps(index, indent=2).encode()
        (folder / f"{_INDEX}{UNFINISHED_SUFFIX}").write_bytes(text)
        records[_INDEX] = FileRecord(size=len(text), sha256=hashlib.sha256(text).hexdigest())
    return records


def put_in_place(folder: Path, records: Mapping[str, FileRecord]) -> None:
    """Give converted files their names."""
    for name in records:
        (folder / f"{name}{UNFINISHED_SUFFIX}").replace(folder / name)


def _load(path: Path) -> Mapping[str, torch.Tensor]:
    import torch

    try:
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format of PyTorch before 1.6 cannot be mapped
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        # PyTorch's message goes on with advice to load it all the same.
        raise _refused(path, "it cannot be read without running code in it") from error
    if not isinstance(loaded, Mapping):
        raise _refused(path, f"it holds a {type(loaded).__name__}, not tensors by name")
    for name, value in loaded.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise _refused(path, f"{name} is a {type(value).__name__}, not a plain tensor")
        if _dtype(value) not in _DTYPES:
            raise _refused(path, f"{name} has the dtype {_dtype(value)}, which safetensors has not")
    return loaded


def _write(path: Path, tensors: Mapping[str, torch.Tensor]) -> FileRecord:
    """Write one file as the format has it: https://huggingface.co/docs/safetensors, "Format"."""
    # Wide elements first, so that every tensor is aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name in names:
        tensor = tensors[name]
        end = position + tensor.nbytes
        header[name] = {
            "dtype": _DTYPES[_dtype(tensor)],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        start: tuple[bytes | memoryview, ...] = (len(text).to_bytes(_LENGTH_BYTES, "little"), text)
        for block in chain(start, (_content(tensors[name]) for name in names)):
            digest.update(block)
            file.write(block)
        size = file.tell()
    return FileRecord(size=size, sha256=digest.hexdigest())


def _content(tensor: torch.Tensor) -> memoryview:
    import torch

    flat = tensor.detach().contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else memoryview(b"")


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _refused(path: Path, why: str) -> BcliError:
    return BcliError(
        f"{path.name} cannot be converted: {why}.",
        hint="The .bin files are kept as they are, and vLLM may still load them.",
        exit_code=ExitCode.INVALID,
    )
