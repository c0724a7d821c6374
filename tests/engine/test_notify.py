"""systemd hears how the service is, over its own protocol."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from baichuan_cli.engine.notify import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_is_one_datagram(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"@bcli-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0", 1) if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify("READY=1\nSTATUS=ready")
        assert systemd.recv(100) == b"READY=1\nSTATUS=ready"


def test_nothing_is_said_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
