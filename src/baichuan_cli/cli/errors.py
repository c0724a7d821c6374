"""The one table that turns what libraries raise into something a person can act on.

Commands and library code do not catch these themselves: they let them rise to `main`.
"""

from __future__ import annotations

import errno

from baichuan_cli.errors import BcliError, ExitCode

#: What bad input can cause. Anything else is a defect and shows a traceback.
EXPECTED: tuple[type[Exception], ...] = (BcliError, OSError, UnicodeDecodeError)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def to_bcli_error(error: Exception) -> BcliError:
    """Return the message, hint and exit code for an error; one of ours is returned as it is."""
    match error:
        case BcliError():
            return error
        case OSError() if error.errno in _FULL:
            return BcliError(
                f"No space left{_where(error)}.", hint="Free some space and try again.", exit_code=ExitCode.OUTPUT
            )
        case OSError() if error.errno in _FORBIDDEN:
            return BcliError(
                f"Not allowed to open it{_where(error)}: {error.strerror}.",
                hint="Check the permissions, or give another path.",
                exit_code=ExitCode.OUTPUT,
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
        case _:
            raise TypeError(f"no message for {type(error).__name__}") from error


def _where(error: OSError) -> str:
    return f": {error.filename}" if error.filename is not None else ""
