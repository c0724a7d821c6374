"""Let one process at a time write an answer file."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.file_lock import try_lock


def open_locked(target: Path, path: Path) -> tuple[int, bool]:
    """Open a file to read and append, made if need be; return its descriptor and whether it is locked.

    Args:
        target: the file, with symbolic links resolved.
        path: what the person calls it.

    Raises:
        BcliError: another process has locked it.
        OSError: it cannot be opened.
    """
    while True:
        fd = os.open(target, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with ExitStack() as stack:
            stack.callback(os.close, fd)
            locked = lock(fd, path)
            # Another run may have put a new file in its place between the opening and the locking.
            if os.path.samestat(os.fstat(fd), target.stat()):
                stack.pop_all()
                return fd, locked


def lock(fd: int, path: Path) -> bool:
    """Lock an open file as `try_lock` does, and return whether the file system could do it.

    Raises:
        BcliError: another process holds it.
    """
    outcome = try_lock(fd)
    if outcome == "taken":
        raise BcliError(
            f"Another bcli is writing to {path}.",
            hint="Wait for it to finish, or give another --output.",
            exit_code=ExitCode.OUTPUT,
        )
    return outcome == "locked"
