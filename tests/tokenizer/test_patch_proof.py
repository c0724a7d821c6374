"""The real transformers of this environment: it fails on the published files, and loads the patched ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sentencepiece
import transformers

import baichuan_cli
from baichuan_cli.engine.failures import recognise
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.tokenizer.originals import apply_patch
from baichuan_cli.tokenizer.patch import plan_patch
from baichuan_cli.tokenizer.proof import Proof, prove
from baichuan_cli.tokenizer.proof_child import TEXTS
from tokenizer.published_code import BROKEN, write_checkpoint


def error_of(folder: Path, *, fast: bool = False, seconds: float = 60) -> BcliError:
    with pytest.raises(BcliError) as caught:
        prove(folder, fast=fast, seconds=seconds)
    assert caught.value.exit_code == ExitCode.INVALID
    assert "--revert" in caught.value.hint
    return caught.value


@pytest.mark.parametrize("layout", ["7B", "Baichuan2-13B"])
def test_the_published_code_fails_and_the_patched_works(tmp_path: Path, layout: str) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", BROKEN[layout])
    failure = error_of(folder).message
    cause = recognise(failure)
    assert cause is not None, failure
    assert "bcli patch-tokenizer" in cause.hint
    apply_patch(plan_patch(folder))
    assert prove(folder, fast=False) == Proof(BROKEN[layout].name, transformers.__version__, len(TEXTS) + 1, fast=True)


def test_fast_needs_none_of_the_repository_s_code(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", BROKEN["7B"])
    apply_patch(plan_patch(folder, fast=True))
    (folder / "tokenization_baichuan.py").write_text("raise SystemExit('remote code ran')\n")
    proof = prove(folder, fast=True)
    assert proof.class_name in ("TokenizersBackend", "PreTrainedTokenizerFast")
    assert proof.texts == len(TEXTS) + 1


@pytest.mark.parametrize("published", ["baichuan1", "baichuan2"])
def test_fast_is_exact_with_the_published_models(tmp_path: Path, published: str) -> None:
    model = Path(__file__).parents[3] / "shared" / "tokenizers" / f"{published}.model"
    if not model.exists():
        pytest.skip(f"{model} is missing: the real tokenizer models are not part of this repository")
    folder = write_checkpoint(tmp_path / "checkpoint", BROKEN["13B"])
    shutil.copyfile(model, folder / "tokenizer.model")
    apply_patch(plan_patch(folder, fast=True))
    assert prove(folder, fast=True).texts == len(TEXTS) + 1


@pytest.mark.parametrize("kind", ["code", "fast"])
def test_old_transformers(tmp_path: Path, kind: str) -> None:
    python = os.environ.get("OLD_TRANSFORMERS_PYTHON")
    if not python:
        pytest.skip("set OLD_TRANSFORMERS_PYTHON to a Python with transformers 4.41.2, sentencepiece and protobuf")
    folder = write_checkpoint(tmp_path / "checkpoint", BROKEN["13B"])
    apply_patch(plan_patch(folder, fast=kind == "fast"))
    source = str(Path(baichuan_cli.__file__).parents[1])
    arguments = ["-m", "baichuan_cli.tokenizer.proof_child", str(folder), kind, str(tmp_path / "result")]
    subprocess.run([python, *arguments], check=True, env=os.environ | {"PYTHONPATH": source})
    found = json.loads((tmp_path / "result").read_text())
    assert found == {
        "class_name": {"code": "BaichuanTokenizer", "fast": "PreTrainedTokenizerFast"}[kind],
        "transformers": "4.41.2",
        "texts": len(TEXTS) + 1,
        "fast": True,
    }


@pytest.mark.engine
def test_vllm_loads_the_fast_files_without_the_plugin_or_remote_code(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", BROKEN["7B"])
    apply_patch(plan_patch(folder, fast=True))
    program = (
        "import sys\n"
        "try:\n    from vllm.tokenizers import get_tokenizer\n"
        "except ModuleNotFoundError:  # older releases\n"
        "    from vllm.transformers_utils.tokenizer import get_tokenizer\n"
        "print(get_tokenizer(sys.argv[1], trust_remote_code=False).encode('床前明月光</s>'))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"VLLM_PLUGINS": ""},
    )
    ids = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).encode("床前明月光")
    assert ran.stdout.splitlines()[-1] == str([*ids, 2])


def test_other_ids_are_shown(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", BROKEN["7B"])
    apply_patch(plan_patch(folder))
    code = folder / "tokenization_baichuan.py"
    code.write_text(code.read_text().replace("encode(text, out_type", "encode(text[::-1], out_type"))
    assert error_of(folder).message.startswith("The patched tokenizer failed: it makes [")


def test_code_that_ends_the_process_is_a_failure(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", BROKEN["7B"])
    (folder / "tokenization_baichuan.py").write_text("import os\nos._exit(0)\n")
    assert error_of(folder).message == "The patched tokenizer failed: it ended early."


def test_code_that_never_ends_is_killed(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", BROKEN["7B"])
    (folder / "tokenization_baichuan.py").write_text("import time\ntime.sleep(99)\n")
    begun = time.monotonic()
    assert error_of(folder, seconds=1).message == "The patched tokenizer did not load within 1 seconds."
    assert time.monotonic() - begun < 60
