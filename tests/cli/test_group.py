"""What the root of the command tree adds: a value that an option cannot do with is repeated."""

from __future__ import annotations

import pytest

from cli.in_process import run_bcli


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("generate", "--temperature", "abc"),
        ("generate", "--max-tokens", "1.5"),
        ("download", "--max-workers", "0"),
    ],
)
def test_a_bad_number_is_repeated(
    command: str, option: str, value: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ran = run_bcli((command, option, value, "x"), monkeypatch, capfd)
    assert ran.code == 2
    message = ran.stderr.partition(f"Invalid value for '{option}': ")[2]
    assert value in message
