"""`bcli doctor` on this machine, whatever it is: the trial imports are of the real torch, transformers and vLLM."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.engine


def test_the_engine_of_these_tests_is_well() -> None:
    command = [sys.executable, "-m", "baichuan_cli", "doctor", "--offline", "--json"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    told = json.loads(done.stdout)
    statuses = {check["check"]: check["status"] for check in told["checks"]}
    assert (done.returncode in (0, 1), told["runs"], done.stderr) == (True, True, "")
    assert {name: statuses[name] for name in ("torch", "transformers", "vllm", "server", "plugins", "baichuan")} == {
        **dict.fromkeys(("torch", "transformers", "vllm", "server", "plugins", "baichuan"), "ok")
    }
