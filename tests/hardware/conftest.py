"""A machine that is not here, for every test of detection."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.recorded_machine import RecordedMachine, bare_machine


@pytest.fixture
def machine(tmp_path: Path) -> RecordedMachine:
    """Return a machine without any card."""
    return bare_machine(tmp_path / "root")
