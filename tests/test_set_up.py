"""tools/set_up.py, with pip and the new interpreter played by the test: what is run, said and left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "set_up.py"


@dataclass
class Machine:
    """A machine whose pip and interpreter do as they are told, and keep a list of what was asked of them."""

    set_up: ModuleType
    fails: Callable[[str], bool] = lambda command: False
    commands: list[str] = field(default_factory=list)

    @property
    def stamp(self) -> Path:
        path: Path = self.set_up.STAMP
        return path

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        line = " ".join(command[1:])
        self.commands.append(line)
        return subprocess.CompletedProcess(command, 1 if self.fails(line) else 0)

    def installs(self) -> list[str]:
        return [line for line in self.commands if " install " in line]


def new_environment(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin" / "python").touch()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    spec = spec_from_file_location("set_up", SCRIPT)
    assert spec is not None and spec.loader is not None
    set_up = module_from_spec(spec)
    spec.loader.exec_module(set_up)
    machine = Machine(set_up)
    venv = tmp_path / ".venv"
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    for name, value in {
        "ROOT": tmp_path,
        "VENV": venv,
        "PYTHON": venv / "bin" / "python",
        "STARTED": venv / "set-up-started",
        "STAMP": venv / "set-up-finished",
    }.items():
        monkeypatch.setattr(set_up, name, value)
    monkeypatch.setattr(set_up.venv, "create", lambda folder, **_: new_environment(folder))
    monkeypatch.setattr(set_up.subprocess, "run", machine.run)
    return machine


def test_a_bare_machine_gets_everything_from_its_own_indexes(machine: Machine, tmp_path: Path) -> None:
    assert machine.set_up.main() == 0
    [install] = machine.installs()
    assert install.endswith(f"install --quiet --editable {tmp_path}[cpu,web,plot,dev]")
    assert machine.stamp.read_text() == machine.set_up.fingerprint()


def test_a_finished_environment_is_left_alone(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine.set_up.main() == 0
    machine.commands.clear()
    capsys.readouterr()
    assert machine.set_up.main() == 0
    assert machine.commands == []
    assert capsys.readouterr() == ("", "")


def test_an_environment_for_other_dependencies_is_brought_up_to_date(machine: Machine, tmp_path: Path) -> None:
    assert machine.set_up.main() == 0
    kept = tmp_path / ".venv" / "kept"
    kept.touch()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert machine.set_up.main() == 0
    assert len(machine.installs()) == 2
    assert kept.exists()


def test_an_unfinished_environment_starts_afresh(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = tmp_path / ".venv" / "lib" / "half-installed"
    half.mkdir(parents=True)
    machine.set_up.STARTED.touch()
    assert machine.set_up.main() == 0
    assert not half.exists()
    assert "the last attempt did not finish; starting afresh" in capsys.readouterr().err


def test_an_environment_of_the_person_s_own_is_kept(machine: Machine, tmp_path: Path) -> None:
    new_environment(tmp_path / ".venv")
    kept = tmp_path / ".venv" / "kept"
    kept.touch()
    assert machine.set_up.main() == 0
    assert kept.exists()
    assert len(machine.installs()) == 1


@pytest.mark.parametrize("gone", [True, False])
def test_an_environment_of_another_python_starts_afresh(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str], gone: bool
) -> None:
    new_environment(tmp_path / ".venv")
    old = tmp_path / ".venv" / "old"
    old.touch()
    if gone:
        (tmp_path / ".venv" / "bin" / "python").unlink()
    machine.fails = lambda line: "sys.version" in line
    assert machine.set_up.main() == 0
    assert not old.exists()
    assert "the Python of .venv has changed or gone; starting afresh" in capsys.readouterr().err


def test_a_machine_whose_venv_brings_no_pip(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(folder: Path, with_pip: bool) -> None:
        new_environment(folder)
        if with_pip:
            raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(machine.set_up.venv, "create", create)
    assert machine.set_up.main() == 0
    first, _ = machine.installs()
    assert first.startswith("-m pip --python ")
    assert first.endswith("install --quiet pip")


def test_pytorch_s_index_helps_where_the_configured_ones_lack_torch(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.fails = lambda line: " install " in line and "download.pytorch.org" not in line
    assert machine.set_up.main() == 0
    first, second = machine.installs()
    assert second == f"{first} --extra-index-url https://download.pytorch.org/whl/cpu"
    assert "trying PyTorch's CPU wheels as well" in capsys.readouterr().err


def test_a_pip_that_cannot_install_ends_it_and_the_next_run_starts_afresh(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.fails = lambda line: " install " in line
    assert machine.set_up.main() == 1
    assert "Mend that and run the same command again." in capsys.readouterr().err
    assert not machine.stamp.exists()
    machine.fails = lambda line: False
    assert machine.set_up.main() == 0
    assert "starting afresh" in capsys.readouterr().err


def test_a_companion_of_another_torch_is_removed_and_named(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.fails = lambda line: "find_spec('torchvision')" in line
    assert machine.set_up.main() == 0
    assert [line for line in machine.commands if "uninstall" in line] == [
        "-m pip --disable-pip-version-check uninstall --quiet --yes torchvision"
    ]
    assert "removing torchvision: this build does not work beside a CPU torch" in capsys.readouterr().err


def test_an_engine_that_does_not_import_is_no_success(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.fails = lambda line: line.startswith("-c import torch")
    assert machine.set_up.main() == 1
    assert "vLLM does not import" in capsys.readouterr().err
    assert not machine.stamp.exists()


def test_a_python_that_is_too_old_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    monkeypatch.setattr(sys, "version", "3.10.13 (main)")
    assert machine.set_up.main() == 2
    assert "needs Python 3.11 or newer, this is 3.10.13" in capsys.readouterr().err
    assert machine.commands == []
