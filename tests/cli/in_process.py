"""Run bcli in the test's own process, as the console script does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from baichuan_cli.__main__ import main


class Ran(NamedTuple):
    """What a run of bcli left behind."""

    code: int
    stdout: str
    stderr: str


Bcli = Callable[..., Ran]


def run_bcli(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ran:
    """Run `bcli ARGUMENTS…` to its end."""
    monkeypatch.setattr(sys, "argv", ["bcli", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capfd.readouterr()
    return Ran(int(stop.value.code or 0), captured.out, captured.err)
