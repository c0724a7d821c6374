"""Let one process at a time write an answer file."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack
from pathlib import Path

from baichuan_cli.errors import BcliError, ExitCode

_HELD_BY_ANOTHER = (errno.EACCES, errno.EAGAIN)  # POSIX allows either
_NO_LOCKS_HERE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # such as Lustre mounted without -o flock


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
    """Lock an open file, and return whether the file system could do it.

    It is a POSIX lock: it dies with this process, a forked engine worker does not inherit it, and it is lost as soon
    as this process closes any descriptor of the file.

    Raises:
        BcliError: another process holds it.
    """
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            raise BcliError(
                f"Another bcli is writing to {path}.",
                hint="Wait for it to finish, or give another --output.",
                exit_code=ExitCode.OUTPUT,
            ) from None
        if error.errno in _NO_LOCKS_HERE:
            return False
        raise
    return True
