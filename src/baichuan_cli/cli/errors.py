"""The one table that turns what libraries raise into something a person can act on.

Commands and library code do not catch these themselves: they let them rise to `main`.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from baichuan_cli.errors import BcliError, ExitCode

#: What bad input can cause. Anything else is a defect and shows a traceback.
EXPECTED: tuple[type[Exception], ...] = (BcliError, OSError, UnicodeDecodeError, UnicodeEncodeError)

_FORBIDDEN = (errno.EACCES, errno.EPERM)
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def to_bcli_error(error: Exception) -> BcliError:
    """Return the message, hint and exit code for an error; one of ours is returned as it is."""
    match error:
        case BcliError():
            return error
        case OSError() if error.errno in _UNWRITABLE:
            return BcliError(
                f"Cannot write{_where(error)}: {error.strerror}.",
                hint="Free some space, or give another path.",
                exit_code=ExitCode.OUTPUT,
            )
        case OSError() if error.errno in _FORBIDDEN:
            action, exit_code = ("read", ExitCode.INVALID) if _unreadable(error) else ("write", ExitCode.OUTPUT)
            return BcliError(
                f"Not allowed to {action}{_where(error)}: {error.strerror}.",
                hint="Check the permissions, or give another path.",
                exit_code=exit_code,
            )
        case FileNotFoundError():
            return BcliError(f"There is no such file{_where(error)}.", exit_code=ExitCode.NOT_FOUND)
        case OSError():
            return BcliError(f"{error.strerror or error}{_where(error)}.", exit_code=ExitCode.INVALID)
        case UnicodeDecodeError():
            return BcliError(
                f"The text is not valid UTF-8: byte {error.object[error.start]:#04x} at position {error.start}.",
                hint="Convert it first: iconv -f GB18030 -t UTF-8 FILE",
                exit_code=ExitCode.INVALID,
            )
        case UnicodeEncodeError():
            return BcliError(
                f"{error.encoding} has no {error.object[error.start]!r}, which a name or a text here holds.",
                hint="Set the locale to UTF-8: export LC_ALL=C.UTF-8",
                exit_code=ExitCode.INVALID,
            )
        case _:
            raise TypeError(f"no message for {type(error).__name__}") from error


def _unreadable(error: OSError) -> bool:
    """Tell whether it was a reader that was turned away; the error itself does not say."""
    if not isinstance(error.filename, str):
        return False
    path = Path(error.filename)
    if not os.access(path.parent, os.X_OK):  # to ask whether the file exists would be the same error
        return True
    return path.exists() and not os.access(path, os.R_OK)


def _where(error: OSError) -> str:
    return f": {error.filename}" if error.filename is not None else ""
