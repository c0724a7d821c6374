"""Trying imports for real, on packages made for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from baichuan_cli.doctor.facts.imports import STEPS, Imports, Torch, try_imports
from baichuan_cli.doctor.surroundings import Surroundings
from baichuan_cli.hardware.system import run_command

TORCH = """\
print("torch says hello")
__version__ = "2.13.0+cpu"
class version: cuda = None; hip = None
class cuda:
    is_available = staticmethod(lambda: False)
    device_count = staticmethod(lambda: 0)
"""
REGISTRY = """\
class LLM: pass
class ModelRegistry:
    get_supported_archs = staticmethod(lambda: ["BaichuanForCausalLM", "LlamaForCausalLM"])
"""


HEALTHY = {
    "torch.py": TORCH,
    "torchvision.py": "",
    "torchaudio.py": "",
    "triton.py": "",
    "transformers.py": "LlamaConfig = None",
    "vllm/__init__.py": REGISTRY,
    "vllm/plugins.py": "def load_general_plugins(): pass",
    "vllm/entrypoints/__init__.py": "",
    "vllm/entrypoints/openai/__init__.py": "",
    "vllm/entrypoints/openai/api_server.py": "",
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put packages that import well before all others, and return where they lie."""
    for name, text in HEALTHY.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_all_is_well(site: Path) -> None:
    assert try_imports(Surroundings()) == Imports(
        errors=dict.fromkeys(STEPS, ""),
        torch=Torch("2.13.0+cpu", None, None, available=False, cards=0),
        architectures=("BaichuanForCausalLM",),
    )


def test_what_fails_and_what_dies(site: Path) -> None:
    (site / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (site / "torchaudio.py").write_text("raise SystemExit(3)")
    (site / "transformers.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")

    found = try_imports(Surroundings())

    assert found.errors == {
        "torch": "",
        "torchvision": "RuntimeError: operator torchvision::nms does not exist",
        "torchaudio": "SystemExit: 3",
        "triton": "",
        "transformers": "Python did not survive it (exit status -4)",
    }
    assert (found.torch, found.architectures) == (None, None)


def test_stand_ins_are_tried_where_the_server_fails(site: Path) -> None:
    (site / "vllm" / "entrypoints" / "openai" / "api_server.py").write_text("import pyairports.airports")

    found = try_imports(Surroundings())

    assert found.errors["server"] == "ModuleNotFoundError: No module named 'pyairports'"
    assert found.works("stand-ins")


def test_a_plugin_that_fails(site: Path) -> None:
    (site / "vllm" / "plugins.py").write_text("def load_general_plugins(): raise ValueError('no')")

    assert try_imports(Surroundings()).plugins_error == "ValueError: no"


def test_an_import_without_an_end(site: Path) -> None:
    (site / "torchvision.py").write_text("import time; time.sleep(60)")

    found = try_imports(Surroundings(run_python=partial(run_command, timeout=5)))

    assert found.errors == {"torch": "", "torchvision": "Python did not survive it (no answer within 5 s)"}


def test_ctrl_c_ends_it(site: Path) -> None:
    (site / "torchvision.py").write_text("raise KeyboardInterrupt")

    assert "torchaudio" not in try_imports(Surroundings()).errors


def test_python_does_not_even_start() -> None:
    assert try_imports(Surroundings(run_python=lambda _: run_command(["/nowhere/python"]))) == Imports(
        errors={"torch": "not found"}
    )
