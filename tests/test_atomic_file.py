"""Replacing a file in one step: what stays of the old one when something goes wrong."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from baichuan_cli.atomic_file import replace_file


def test_a_new_file_takes_the_umask_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    old.chmod(0o600)
    before = os.umask(0o027)
    try:
        replace_file(new, b"1")
        replace_file(old, b"2")
    finally:
        os.umask(before)
    assert (new.read_bytes(), old.read_bytes()) == (b"1", b"2")
    assert [oct(path.stat().st_mode & 0o777) for path in (new, old)] == ["0o640", "0o600"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"stays")
    link.symlink_to(target)
    replace_file(link, b"new")
    assert (target.read_bytes(), link.read_bytes(), link.is_symlink()) == (b"stays", b"new", False)
