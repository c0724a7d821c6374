"""The entry point: what it registers, and what it does not touch."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import baichuan_cli.vllm_plugin as plugin
from reference.releases import since


def test_vllm_finds_the_entry_point() -> None:
    (point,) = entry_points(group="vllm.general_plugins", name="baichuan")
    assert point.load() is plugin.register


def test_the_plugin_imports_nothing_else_of_bcli_and_no_model() -> None:
    script = """
import sys
from baichuan_cli.vllm_plugin import register
register()
register()
print(sorted(name for name in sys.modules if name.startswith("baichuan_cli")))
from vllm import ModelRegistry
print(all(name in ModelRegistry.get_supported_archs() for name in ("BaiChuanForCausalLM", "BaichuanForCausalLM")))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules, registered = done.stdout.splitlines()[-2:]
    loaded = set(ast.literal_eval(modules))
    assert all(name.startswith("baichuan_cli.vllm_plugin") for name in loaded - {"baichuan_cli"})
    assert "baichuan_cli.vllm_plugin.model" not in loaded
    assert registered == "True"


@since("0.25", "has Baichuan of its own")
def test_vllm_inspects_the_class_without_another_process() -> None:
    script = """
from vllm.model_executor.models import registry
from baichuan_cli.vllm_plugin import register
registry._run_in_subprocess = lambda function: print("another process")
register()
for name in ("BaiChuanForCausalLM", "BaichuanForCausalLM"):
    model = registry.ModelRegistry._try_inspect_model_cls(name)
    print(model.architecture, model.is_text_generation_model, model.supports_pp)
import torch
print(torch.cuda.is_initialized())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-3:] == [*["BaichuanForCausalLM True True"] * 2, "False"]


def test_the_classes_of_an_older_vllm_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(plugin, "find_spec", lambda name: asked.append(name) or object())
    monkeypatch.setitem(sys.modules, "baichuan_cli.vllm_plugin.registration", None)  # importing it would raise
    plugin.register()
    assert asked == ["vllm.model_executor.models.baichuan"]
