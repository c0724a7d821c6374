"""Every expected exception becomes one clear message with a documented exit code."""

from __future__ import annotations

import errno

import pytest

from baichuan_cli.cli.errors import to_bcli_error
from baichuan_cli.errors import BcliError, ExitCode


@pytest.mark.parametrize(
    ("error", "message", "exit_code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.jsonl"), "No space left: a.jsonl.", ExitCode.OUTPUT),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            "Not allowed to open it: /x: Permission denied.",
            ExitCode.OUTPUT,
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "p.txt"),
            "There is no such file: p.txt.",
            ExitCode.NOT_FOUND,
        ),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "d"), "Is a directory: d.", ExitCode.INVALID),
        (
            UnicodeDecodeError("utf-8", b"ab\xff", 2, 3, "invalid start byte"),
            "The text is not valid UTF-8: byte 0xff at position 2.",
            ExitCode.INVALID,
        ),
    ],
)
def test_library_errors_become_ours(error: Exception, message: str, exit_code: ExitCode) -> None:
    told = to_bcli_error(error)
    assert (told.message, told.exit_code) == (message, exit_code)


def test_our_own_error_is_kept() -> None:
    error = BcliError("x", hint="y", exit_code=ExitCode.REFUSED)
    assert to_bcli_error(error) is error
