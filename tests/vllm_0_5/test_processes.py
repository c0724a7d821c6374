"""What reaches vLLM 0.5.0's processes, and what starts them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from baichuan_cli.demo import demo_path
from baichuan_cli.engine.failures import recognise
from baichuan_cli.tokenizer.originals import apply_patch
from baichuan_cli.tokenizer.patch import plan_patch
from reference.poems import FAMOUS
from tokenizer.published_code import BROKEN

pytestmark = pytest.mark.engine

POEM = FAMOUS[0]
NO_PYAIRPORTS = "import sys; sys.modules['pyairports'] = None; import vllm.entrypoints.openai.api_server"


def test_a_worker_in_another_process_gets_the_configuration_without_registering_it(tmp_path: Path) -> None:
    """Tensor parallelism needs a GPU here; this is what its workers are sent, and what they do with it."""
    sender = """
import pickle, sys
from baichuan_cli.vllm_plugin import register
register()
from vllm.engine.arg_utils import EngineArgs
arguments = EngineArgs(model=sys.argv[1], device="cpu", dtype="float32")
pickle.dump(arguments.create_engine_config().model_config, open(sys.argv[2], "wb"))
"""
    worker = """
import pickle, sys
model_config = pickle.load(open(sys.argv[1], "rb"))
from vllm.model_executor.model_loader.utils import get_model_architecture
print(model_config.hf_config.alibi, get_model_architecture(model_config)[0].__name__)
"""
    sent = tmp_path / "sent"
    subprocess.run([sys.executable, "-c", sender, str(demo_path("demo-alibi")), str(sent)], check=True)
    done = subprocess.run([sys.executable, "-c", worker, str(sent)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True BaichuanForCausalLM"


def test_a_patched_slow_tokenizer_runs_as_remote_code(tmp_path: Path) -> None:
    folder = shutil.copytree(demo_path("demo"), tmp_path / "model")
    (folder / "tokenization_baichuan.py").write_bytes(str(BROKEN["7B"]).encode())
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["auto_map"] = {"AutoTokenizer": ["tokenization_baichuan.BaiChuanTokenizer", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    apply_patch(plan_patch(folder))
    command = [Path(sys.executable).with_name("bcli"), "generate", "--model", folder, "--trust-remote-code"]
    done = subprocess.run([*command, "--verbose", POEM.start], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{POEM.rest}\n"), done.stderr
    assert "Using a slow tokenizer" in done.stderr  # vLLM's own words: the checkpoint's code did run


class TestPyairports:
    def test_the_server_of_vllm_dies_of_it_and_the_advice_mends_it(self, tmp_path: Path) -> None:
        dead = subprocess.run([sys.executable, "-c", NO_PYAIRPORTS], capture_output=True, text=True, check=False)
        assert dead.returncode == 1
        cause = recognise(dead.stderr)
        assert cause is not None and "PyPI lost it" in cause.message
        [command] = [line for line in cause.hint.splitlines() if line.startswith("cd ")]
        packages, commands = tmp_path / "site-packages", tmp_path / "bin"
        packages.mkdir()
        commands.mkdir()
        (commands / "python").write_text(f"#!/bin/sh\necho {packages}\n")  # where the advice is to put it
        (commands / "python").chmod(0o755)
        subprocess.run(command, shell=True, check=True, env={"PATH": f"{commands}:{os.environ['PATH']}"})
        revived = subprocess.run(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--help"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(packages)},
        )
        assert revived.returncode == 0, revived.stderr
        assert "\nusage: " in f"\n{revived.stdout}"

    @pytest.mark.skipif(find_spec("pyairports") is not None, reason="this environment has a pyairports")
    def test_our_module_starts_the_server_without_it(self) -> None:
        command = [sys.executable, "-m", "baichuan_cli.vllm_plugin.api_server", "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "[--host HOST]" in done.stdout
