"""Lock an open file against other processes."""

from __future__ import annotations

import errno
import fcntl
from typing import Literal

LockOutcome = Literal["locked", "taken", "unsupported"]

_HELD_BY_ANOTHER = (errno.EACCES, errno.EAGAIN)  # POSIX allows either
_NO_LOCKS_HERE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # such as Lustre mounted without -o flock


def try_lock(fd: int) -> LockOutcome:
    """Lock an open file without waiting.

    It is a POSIX lock: it dies with this process, a forked engine worker does not inherit it, and it is lost as soon
    as this process closes any descriptor of the file.
    """
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            return "taken"
        if error.errno in _NO_LOCKS_HERE:
            return "unsupported"
        raise
    return "locked"
