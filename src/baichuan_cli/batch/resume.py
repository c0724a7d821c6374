"""Read an answer file that an earlier run left behind, and make it fit to be continued.

Three things can be wrong with such a file. A last line that a crash cut short is taken off. Records of failures are
taken out, because the run tries those items again and every item has one line. Anything else is a reason to stop:
a file that bcli did not write, or answers to other requests, is never changed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from baichuan_cli.atomic_file import sync_folder
from baichuan_cli.batch.item import BatchItem
from baichuan_cli.batch.lock import lock
from baichuan_cli.batch.records import RecordHead, RunInfo, is_cut_short, read_head
from baichuan_cli.errors import BcliError


@dataclass(frozen=True, slots=True)
class Existing:
    """What an answer file holds.

    Attributes:
        answered: ids of this batch that have their answer.
        unrelated: records of ids that are not in this batch; they stay.
        failures: lines, counted from 1, with records of failed items of this batch.
        end: bytes up to the end of the last whole record.
        open_end: whether that record lacks nothing but its newline.
    """

    answered: frozenset[str]
    unrelated: int
    failures: frozenset[int]
    end: int
    open_end: bool


def read_existing(fd: int, path: Path, items: Iterable[BatchItem], run: RunInfo) -> Existing:
    """Read an answer file from its start, through a descriptor that stays open.

    Raises:
        BcliError: a line is no record of bcli, or an answer belongs to another request or other settings.
    """
    requests = {item.custom_id: item.fingerprint for item in items}
    answered: set[str] = set()
    failures: set[int] = set()
    unrelated = end = 0
    open_end = False
    # The caller holds a POSIX lock, which closing any descriptor of the file would drop.
    with open(fd, "rb", closefd=False) as file:
        file.seek(0)
        for number, line in enumerate(file, start=1):
            head = read_head(line)
            if head is None:
                if not line.endswith(b"\n") and is_cut_short(line):
                    break
                raise BcliError(
                    f"{path} is not an answer file of this version of bcli: line {number} is something else.",
                    hint="Give another --output. This file was not changed.",
                )
            end += len(line)
            open_end = not line.endswith(b"\n")
            if head.custom_id not in requests:
                unrelated += 1
            elif head.failed:
                failures.add(number)
            else:
                _refuse_other_answer(head, path, requests, run)
                answered.add(head.custom_id)
    return Existing(frozenset(answered), unrelated, frozenset(failures), end, open_end)


def mend_end(fd: int, existing: Existing) -> None:
    """Make the file end with a whole record. One system call does it, so that there is no moment in between."""
    if existing.open_end:
        os.write(fd, b"\n")
    else:
        os.ftruncate(fd, existing.end)


def without_failures(old: int, existing: Existing, rewrite: Path, target: Path) -> int:
    """Put a copy without the failures in the file's place, and return its descriptor, locked like the old one.

    Until the rename the old file stands as it was; after it, the new one is whole and on the disk.
    """
    fd = os.open(rewrite, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, stat.S_IMODE(os.fstat(old).st_mode))
        _copy(old, fd, existing.failures)
        lock(fd, target)
        rewrite.replace(target)
        sync_folder(target.parent)  # answers appended from now on must not vanish with the old file
    except BaseException:
        os.close(fd)
        rewrite.unlink(missing_ok=True)
        raise
    os.close(old)
    return fd


def _copy(source: int, target: int, failures: frozenset[int]) -> None:
    with open(source, "rb", closefd=False) as old, open(target, "wb", closefd=False) as new:
        old.seek(0)
        new.writelines(line for number, line in enumerate(old, start=1) if number not in failures)
    os.fsync(target)


def _refuse_other_answer(head: RecordHead, path: Path, requests: Mapping[str, str], run: RunInfo) -> None:
    if head.settings != run.fingerprint:
        cause = f"{path} holds answers of another model or under other sampling options"
    elif head.request != requests[head.custom_id]:
        cause = f'{path} holds the answer to another request under the custom_id "{head.custom_id}"'
    else:
        return
    raise BcliError(
        f"{cause}; answers of two kinds would be mixed.",
        hint="Give another --output, or run with what it was started with. This file was not changed.",
    )
