"""Whatever the files of a machine hold, the doctor comes to its verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from baichuan_cli.doctor.checks import examine
from baichuan_cli.doctor.report import write_report
from doctor import patients

NASTY = (
    "",
    "\n\n",
    "garbage",
    ":::\n::\n",
    "a: b: c",
    "999999999999999999999999",
    "-1",
    "百川\x00\x1b[31m",
    "x" * 5000,
)
MAKERS = (patients.cpu, patients.k100_ai, patients.h100, patients.mi300x)


@pytest.mark.parametrize("text", NASTY, ids=lambda text: repr(text[:10]))
@pytest.mark.parametrize("make", MAKERS)
def test_damaged_files(tmp_path: Path, make: Callable[[Path], patients.Patient], text: str) -> None:
    patient = make(tmp_path)
    for file in sorted(patient.machine.root.rglob("*")):
        if file.is_file() and "/site/" not in str(file):
            file.write_text(text, encoding="utf-8")

    facts = patient.facts()

    assert write_report(facts, examine(facts), {}).startswith("bcli doctor report")


@pytest.mark.parametrize("text", NASTY, ids=lambda text: repr(text[:10]))
def test_damaged_metadata(tmp_path: Path, text: str) -> None:
    patient = patients.cpu(tmp_path)
    for number, file in enumerate(sorted(patient.site.rglob("METADATA"))):
        damage = (text, f"Name: {text}\nVersion: {text}\n", f"Name: torch\nVersion: 1\nRequires-Dist: {text}\n")
        file.write_text(damage[number % len(damage)], encoding="utf-8")

    facts = patient.facts()

    assert write_report(facts, examine(facts), {}).startswith("bcli doctor report")
