"""Finding a checkpoint's weight files and making sure that all of them are there and whole, before anything loads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from baichuan_cli.catalog.json_file import damaged, read_json
from baichuan_cli.catalog.model import WeightFormat
from baichuan_cli.catalog.safetensors_header import Tensor, read_header
from baichuan_cli.catalog.torch_archive import read_names
from baichuan_cli.errors import BcliError, ExitCode

#: What training leaves behind; vLLM passes over these as well.
_NO_WEIGHTS = frozenset({"training_args.bin", "optimizer.bin", "scheduler.bin", "scaler.bin"})
#: What download tools call a file that is not finished.
_UNFINISHED = ("*.incomplete", "*.part", "*.aria2", "*.crdownload", ".cache/huggingface/download/**/*.incomplete")
_LFS_MAGIC = b"version https://git-lfs"
_NUMBERED = re.compile(r"-(\d{5})-of-(\d{5})\.")


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """The files that vLLM will load."""

    format: WeightFormat
    paths: tuple[Path, ...]
    total_bytes: int
    tensors: Mapping[str, Tensor]  # of safetensors files; empty for .bin
    names: frozenset[str]  # of the tensors, and of other things in a .bin; empty where it cannot be known


def has_weights(folder: Path) -> bool:
    """Tell whether a folder holds any weight file at all, whole or not."""
    return bool(_glob(folder, "safetensors") or _glob(folder, "bin"))


def find_weights(folder: Path) -> WeightFiles:
    """Find the weight files of a checkpoint and check each one. As in vLLM, safetensors go before `.bin`.

    Raises:
        BcliError: weights are missing, unfinished, empty, cut short, damaged, or only git-lfs pointers.
    """
    weight_format: WeightFormat = "safetensors" if _glob(folder, "safetensors") or not _glob(folder, "bin") else "bin"
    paths, promised_bytes = _expected(folder, weight_format)
    if not paths:
        raise _nothing_there(folder)
    if missing := [path for path in paths if not path.exists()]:
        raise _half_downloaded(folder, f"{len(missing)} of {len(paths)} weight files are missing: {_names(missing)}")
    for path in paths:
        check_is_content(path)
    total_bytes = sum(path.stat().st_size for path in paths)
    if total_bytes < promised_bytes:
        raise _half_downloaded(
            folder, f"the weights have {total_bytes:,} bytes where the index has {promised_bytes:,}"
        )
    if weight_format == "bin":
        named = [read_names(path) for path in paths]
        names = frozenset().union(*named) if all(named) else frozenset()
        return WeightFiles("bin", paths, total_bytes, {}, names)
    tensors = {name: tensor for path in paths for name, tensor in read_header(path).items()}
    return WeightFiles("safetensors", paths, total_bytes, tensors, frozenset(tensors))


def check_is_content(path: Path) -> None:
    """Make sure that a large file is no placeholder.

    Raises:
        BcliError: it is empty, or it is the git-lfs pointer that stands where git has not fetched the content.
    """
    with path.open("rb") as file:
        start = file.read(len(_LFS_MAGIC))
    if not start:
        raise damaged(path, "is empty")
    if start == _LFS_MAGIC:
        raise BcliError(
            f"{path.name} is a git-lfs pointer of {path.stat().st_size} bytes, not the file itself.",
            hint=f"Fetch the content: git -C {path.parent} lfs pull",
            exit_code=ExitCode.INVALID,
        )


def _expected(folder: Path, weight_format: WeightFormat) -> tuple[tuple[Path, ...], int]:
    """Return the files that should be there, and the bytes that their tensors have by the index (0: no index)."""
    stem = "model.safetensors" if weight_format == "safetensors" else "pytorch_model.bin"
    index = folder / f"{stem}.index.json"
    if not index.exists():
        return _numbered(_glob(folder, weight_format)), 0
    content = read_json(index)
    weight_map = content.get("weight_map")
    names = list(weight_map.values()) if isinstance(weight_map, dict) else []
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise damaged(index, "is damaged: it does not say which file holds which tensor")
    metadata = content.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return tuple(folder / name for name in sorted(set(names))), total if isinstance(total, int) else 0


def _numbered(found: tuple[Path, ...]) -> tuple[Path, ...]:
    """Add the files that numbered names such as model-00001-of-00003.safetensors imply."""
    expected = set(found)
    for path in found:
        if match := _NUMBERED.search(path.name):
            for number in range(1, int(match[2]) + 1):
                expected.add(path.with_name(_NUMBERED.sub(f"-{number:05}-of-{match[2]}.", path.name)))
    return tuple(sorted(expected))


def _glob(folder: Path, suffix: str) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.glob(f"*.{suffix}") if path.name not in _NO_WEIGHTS))


def _nothing_there(folder: Path) -> BcliError:
    unfinished = [path for pattern in _UNFINISHED for path in folder.glob(pattern)]
    if unfinished:
        return _half_downloaded(folder, f"no weight file is complete: {_names(unfinished)}")
    return BcliError(
        f"There are no weights in {folder}: no .safetensors and no .bin file.",
        hint="Download the weights into this folder, or give the folder that holds them.",
        exit_code=ExitCode.NOT_FOUND,
    )


def _half_downloaded(folder: Path, what: str) -> BcliError:
    return BcliError(
        f"The download of {folder.name} is not finished: {what}.",
        hint=f"Run the same download into {folder} again; what is there already is kept.",
        exit_code=ExitCode.INVALID,
    )


def _names(paths: list[Path]) -> str:
    shown = ", ".join(path.name for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
