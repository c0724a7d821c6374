"""Locks between processes, and file systems that have none."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from baichuan_cli.file_lock import LockOutcome, try_lock
from baichuan_cli.hub.store import Store


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.EAGAIN, "taken"),
        (errno.EACCES, "taken"),
        (errno.ENOLCK, "unsupported"),
        (errno.EOPNOTSUPP, "unsupported"),
    ],
)
def test_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch, number: int, outcome: LockOutcome) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    assert try_lock(0) == outcome


def test_a_store_without_locks_still_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("baichuan_cli.hub.store.try_lock", lambda _: "unsupported")
    with Store(tmp_path).lock("model"):
        assert (tmp_path / ".locks" / "model").exists()
