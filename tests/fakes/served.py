"""How tests put the stand-in for vLLM's server in vLLM's place."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "served_vllm"


class ServedVllm:
    """What the child was given, and how it is to behave."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, record: Path) -> None:
        self._monkeypatch = monkeypatch
        self._record = record
        monkeypatch.setenv("PYTHONPATH", str(FOLDER))
        monkeypatch.setenv("FAKE_VLLM_RECORD", str(record))

    def behave(self, **behaviour: Any) -> None:
        """Set what the next child does: `exit=1`, `hang=True`, `log=[…]` and so on."""
        self._monkeypatch.setenv("FAKE_VLLM", json.dumps(behaviour))

    @property
    def seen(self) -> dict[str, Any]:
        """Return the newest child's arguments, environment and processes, as soon as there is one."""
        eventually(lambda: bool(self.all_seen))
        return self.all_seen[-1]

    @property
    def all_seen(self) -> list[dict[str, Any]]:
        """Return the same of every child so far, oldest first."""
        if not self._record.exists():
            return []
        whole = self._record.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def no_process_left(pids: list[int]) -> None:
    """Assert that all of some processes have ended."""
    eventually(lambda: not any(alive(pid) for pid in pids))
    assert os.getpid() not in pids
