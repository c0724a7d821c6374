"""Every expected exception becomes one clear message with a documented exit code."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from baichuan_cli.cli.errors import to_bcli_error
from baichuan_cli.errors import BcliError, ExitCode


@pytest.mark.parametrize(
    ("error", "message", "exit_code"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "a.jsonl"),
            "Cannot write: a.jsonl: No space left on device.",
            ExitCode.OUTPUT,
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            "Not allowed to write: /x: Permission denied.",
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


def test_a_file_that_may_not_be_read_is_no_output_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "config.json"
    secret.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    told = to_bcli_error(PermissionError(errno.EACCES, "Permission denied", str(secret)))
    assert (told.message, told.exit_code) == (f"Not allowed to read: {secret}: Permission denied.", ExitCode.INVALID)


def test_a_folder_that_may_not_be_looked_into_is_none_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = str(tmp_path / "config.json")

    def refuse(path: object, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "stat", refuse)  # root may look into everything
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    told = to_bcli_error(PermissionError(errno.EACCES, "Permission denied", hidden))
    monkeypatch.undo()
    assert (told.message, told.exit_code) == (f"Not allowed to read: {hidden}: Permission denied.", ExitCode.INVALID)


def test_our_own_error_is_kept() -> None:
    error = BcliError("x", hint="y", exit_code=ExitCode.REFUSED)
    assert to_bcli_error(error) is error
