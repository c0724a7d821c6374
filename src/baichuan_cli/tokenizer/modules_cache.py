"""The copies of `tokenization_baichuan.py` that transformers keeps, and may run after the file itself has changed.

They lie in `transformers_modules/`, under the folder's own name (transformers 4), with a hash below it (5), or under
`organisation/name/commit` for what was loaded from the hub. Some releases write `_dot_` and `_hyphen_` in such names.
transformers copies the file anew when the copy is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from baichuan_cli import paths
from baichuan_cli.tokenizer.patch import CODE


def find_copies(folder: Path, is_stale: Callable[[bytes], bool]) -> tuple[Path, ...]:
    """Return the copies of a checkpoint's code that are stale.

    Args:
        folder: the checkpoint.
        is_stale: tells so from a copy's bytes.
    """
    return tuple(copy for copy in sorted(_copies(folder)) if is_stale(copy.read_bytes()))


def remove_copies(copies: Iterable[Path]) -> None:
    """Remove copies, and what Python compiled of them.

    Raises:
        OSError: one cannot be removed.
    """
    for copy in copies:
        for compiled in (copy.parent / "__pycache__").glob(f"{copy.stem}.*.pyc"):
            compiled.unlink(missing_ok=True)
        copy.unlink(missing_ok=True)


def _copies(folder: Path) -> Iterator[Path]:
    cache = _modules_cache() / "transformers_modules"
    for name in {spelling for path in (folder.absolute(), folder.resolve()) for spelling in _spellings(path.name)}:
        yield from (cache / name).glob(CODE)
        yield from (cache / name).glob(f"*/{CODE}")
    # In the hub's cache a folder is called models--ORGANISATION--NAME/snapshots/COMMIT.
    repository = folder.absolute().parent.parent.name
    if repository.startswith("models--") and folder.absolute().parent.name == "snapshots":
        for below in _repository_folders(repository.split("--")[1:]):
            yield from (cache / below / folder.name).glob(CODE)


def _repository_folders(parts: list[str]) -> Iterator[Path]:
    for spelling in range(len(_spellings(""))):
        yield Path(*(_spellings(part)[spelling] for part in parts))


def _spellings(name: str) -> tuple[str, ...]:
    dotless = name.replace(".", "_dot_")
    plain = dotless.replace("-", "_hyphen_")
    return name, dotless, plain, f"_{plain}" if plain[:1].isdigit() else plain


def _modules_cache() -> Path:
    if cache := os.environ.get("HF_MODULES_CACHE"):
        return Path(cache)
    return paths.huggingface_home() / "modules"
