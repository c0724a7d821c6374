"""Running a program of this folder, with real vLLM in it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Results = dict[str, Any]


def results_of(
    program: str, given: Path, results: Path, *, through: Sequence[str] = (), **environment: str
) -> Results:
    """Run `python PROGRAM GIVEN RESULTS`, and return what it has written.

    Args:
        through: arguments for Python that stand before the program's own.
    """
    process = subprocess.run(
        [sys.executable, *through, Path(__file__).with_name(program), given, results],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-4000:]
    found: Results = json.loads(results.read_text())
    return found
