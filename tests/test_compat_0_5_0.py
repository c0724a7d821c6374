"""tools/compat_0_5_0.py: what it says of pytest's reports, and what it leaves of the page."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
REPORT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"/>
<testcase name="c"><skipped message="vLLM 0.5.0 returns no token ids"/></testcase>
<testcase name="f"><skipped message="/home/x/baichuan1.model is missing"/></testcase>
<testcase name="d"><failure message="assert 1 == 2"/></testcase>
<testcase name="e"><error message="no server"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def compat(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("compat_0_5_0")


def test_a_report(compat: ModuleType) -> None:
    result = compat.read_report(REPORT)
    assert result.counts == Counter(passed=2, failed=2, skipped=2)
    assert result.reasons == {"vLLM 0.5.0 returns no token ids", "baichuan1.model is missing"}
    assert result.failed


def test_tests_that_did_not_run_have_failed(compat: ModuleType) -> None:
    assert compat.Result().failed
    assert compat.read_report("<testsuite/>").failed


def test_every_part_names_tests_that_exist(compat: ModuleType) -> None:
    paths = [path for part in compat.PARTS.values() for path in part] + list(compat.LEFT_OUT)
    assert [path for path in paths if not (TOOLS.parent / path).exists()] == []


def test_only_its_own_part_of_the_page_is_written(
    compat: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Top\n\n<!-- 0.5.0 -->\nold\n<!-- /0.5.0 -->\n\n<!-- releases -->\nkept\n<!-- /releases -->\n")
    monkeypatch.setattr(compat, "PAGE", page)
    compat.write_page("new")
    compat.write_page("newer")
    assert page.read_text() == (
        "# Top\n\n<!-- 0.5.0 -->\nnewer\n<!-- /0.5.0 -->\n\n<!-- releases -->\nkept\n<!-- /releases -->\n"
    )


def test_what_the_page_says(compat: ModuleType) -> None:
    page = compat.section(
        {"vllm": "0.5.0+cpu", "torch": "2.3.0", "six": "1.17"},
        ["platformdirs", "protobuf"],
        "3.10.13",
        {"plans": compat.read_report(REPORT)},
    )
    text = page.replace("\n", " ")
    assert "vllm 0.5.0+cpu, torch 2.3.0." in text
    assert "bcli needed platformdirs, protobuf, and none of the 3 packages moved." in text
    assert "\n| plans | 2 | 2 | 2 |\n" in page
    assert "\n- vLLM 0.5.0 returns no token ids\n" in page


@pytest.mark.parametrize(
    ("after", "code", "fine", "said"),
    [
        ({"torch": "2.3.0", "protobuf": "7.36"}, 0, True, ""),
        ({"torch": "2.4.0"}, 0, False, "installing /bcli has moved torch 2.3.0 -> 2.4.0"),
        ({}, 0, False, "installing /bcli has moved torch 2.3.0 -> gone"),
        ({"torch": "2.3.0"}, 1, False, "pip cannot install /bcli beside what is there"),
    ],
)
def test_a_package_that_moves_is_a_failure(
    compat: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    after: dict[str, str],
    code: int,
    fine: bool,
    said: str,
) -> None:
    now = {"torch": "2.3.0"}
    held = []

    def pip(command: list[Any], **_: Any) -> subprocess.CompletedProcess[str]:
        nonlocal now
        if "install" in command:
            held.append(Path(command[command.index("--constraint") + 1]).read_text())
            now = after
            return subprocess.CompletedProcess(command, code)
        listed = [{"name": name, "version": version} for name, version in now.items()]
        return subprocess.CompletedProcess(command, 0, stdout=json.dumps(listed))

    monkeypatch.setattr(compat.subprocess, "run", pip)
    assert compat.install(Path(sys.executable), "/bcli") is fine
    assert held == ["torch==2.3.0\n"]
    assert capsys.readouterr().err == (f"compat: {said}\n" if said else "")
