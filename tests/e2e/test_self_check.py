"""The self-check on real vLLM: right engines pass, and faults that are really in them are called by their names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reference.faulty_engines import CASES, Case
from self_check.verdicts import verdict_on

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("faulty-engines")
    tests = Path(__file__).parents[1]
    variables = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    process = subprocess.run(
        [sys.executable, tests / "reference" / "faulty_engines.py", folder, folder / "replies.json"],
        env=os.environ | variables | {"PYTHONPATH": str(tests)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-4000:]
    found: dict[str, Any] = json.loads((folder / "replies.json").read_text())
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_called_by_its_name(case: Case, replies: dict[str, Any]) -> None:
    verdict = verdict_on(case, replies)
    assert verdict.passed is (case.cause is None)
    assert (verdict.cause[0].name if verdict.cause else None) == case.cause
