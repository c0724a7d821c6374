"""Compare a model's files with its record: what is missing, what has changed, what was never part of it.

Every file with a SHA-256 in the record is read and hashed, the others are compared by size. Where all of them are as
recorded, the checkpoint is also read the way it is before loading: headers, shards, shapes and the tokenizer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.errors import BcliError
from baichuan_cli.hub.digest import digest_of
from baichuan_cli.hub.manifest import FileRecord
from baichuan_cli.hub.source import RemoteFile


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of comparing a folder with its record.

    Attributes:
        hashed: how many files are as recorded by their SHA-256.
        sized: how many have the recorded size, where the record has no hash.
        missing: files of the record that are not there.
        changed: files that differ, with how they do as a clause.
        extra: files that the record does not know; no fault by themselves. Hidden ones are passed over.
        unsound: why the checkpoint cannot be loaded although every file is as recorded; empty where it can.
    """

    hashed: int
    sized: int
    missing: tuple[str, ...]
    changed: Mapping[str, str]
    extra: tuple[str, ...]
    unsound: str

    @property
    def passed(self) -> bool:
        """Tell whether the model is as recorded, and whole."""
        return not (self.missing or self.changed or self.unsound)


def verify(folder: Path, expected: Mapping[str, FileRecord], on_bytes: Callable[[int], None]) -> Verification:
    """Compare a folder with what a record expects in it.

    Args:
        folder: where the files lie.
        expected: the files by path; empty where there is no record, and then only the checkpoint is read.
        on_bytes: called with the size of every block that was hashed.

    Raises:
        OSError: a file cannot be read.
    """
    missing, changed = [], {}
    hashed = sized = 0
    for path, record in expected.items():
        file = folder / path
        if not file.exists():
            missing.append(path)
        elif difference := _difference(file, record, on_bytes):
            changed[path] = difference
        elif record.sha256:
            hashed += 1
        else:
            sized += 1
    extra = tuple(sorted(set(_files(folder)) - set(expected))) if expected else ()
    unsound = "" if missing or changed else _unsound(folder)
    return Verification(hashed, sized, tuple(missing), changed, extra, unsound)


def _difference(file: Path, record: FileRecord, on_bytes: Callable[[int], None]) -> str:
    if not file.is_file():
        return "it is no regular file"
    if (size := file.stat().st_size) != record.size:
        return f"it has {size:,} bytes, not {record.size:,}"
    if record.sha256 is None:
        return ""
    return digest_of(file, RemoteFile(file.name, record.size, record.sha256), on_bytes).mismatch()


def _files(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield (Path(parent) / name).relative_to(folder).as_posix()


def _unsound(folder: Path) -> str:
    try:
        read_checkpoint(folder)
    except BcliError as error:
        return error.message
    return ""
