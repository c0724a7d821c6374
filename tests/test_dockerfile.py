"""The Dockerfile: its parts exist, and what it says about health is true. `tools/try_dockerfile.py` does the rest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = spec_from_file_location("try_dockerfile", ROOT / "tools" / "try_dockerfile.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("there is no hadolint here")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_let_through(tool: ModuleType) -> None:
    steps = tool.instructions(DOCKERFILE)
    copied = {source for step in tool.arguments_of(steps, "COPY") for source in step.split()[:-1]}
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied == {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert all((ROOT / source).exists() for source in copied)


def test_the_health_check_tells_a_server_that_is_well_from_one_that_is_not(tool: ModuleType) -> None:
    [step] = tool.arguments_of(tool.instructions(DOCKERFILE), "HEALTHCHECK")
    tool.check_health(step, {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})


def test_the_container_starts_bcli_with_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "bcli").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    (tmp_path / "bcli").chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "tools" / "container_entrypoint.sh"), "serve", "a b"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "serve\na b\n"


def test_the_arguments_are_those_that_bcli_docker_gives() -> None:
    assert set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE)) == {"BASE", "EXTRA", "RUN_AS"}
