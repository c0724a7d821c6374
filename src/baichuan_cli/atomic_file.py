"""Change a file so that a reader, or a crash at any moment, sees the old content or the new one."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

#: What the unfinished new file is called; a kill can leave one behind.
UNFINISHED_SUFFIX = ".bcli-new"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and wait until the disk has it; its folder must exist.

    An existing file keeps its permissions. A symbolic link is replaced, not followed.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}{UNFINISHED_SUFFIX}")
    try:
        with unfinished.open("xb") as file:
            if path.is_file() and not path.is_symlink():
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_whole(fd: int, content: bytes) -> None:
    """Append to an open file everything or nothing; the caller is its only writer.

    Raises:
        OSError: the disk is full or fails.
    """
    start = os.fstat(fd).st_size
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(fd, left) :]
    finally:
        # A full disk and Ctrl-C both can stop a write half-way; the file itself knows how far it came.
        if os.fstat(fd).st_size < start + len(content):
            os.ftruncate(fd, start)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's list of names, so that a rename survives a power failure."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
