"""What `bcli patch-tokenizer` prints, as a whole, and what it exits with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baichuan_cli.hub.manifest import FileRecord, Manifest, read_manifest, write_manifest
from baichuan_cli.tokenizer import proof
from baichuan_cli.tokenizer.originals import sha256_of
from cli.in_process import Bcli, Ran, run_bcli
from tokenizer.published_code import BROKEN, MODEL, WORKING, Layout, write_checkpoint

CHANGES = """\
tokenization_baichuan.py  super().__init__() moved to the end of __init__
tokenizer_config.json     "single_word" set to false
special_tokens_map.json   "single_word" set to false
"""
DIFF = """\
--- a/tokenization_baichuan.py
+++ b/tokenization_baichuan.py
@@ -27,6 +27,11 @@
         bos_token = AddedToken(bos_token, lstrip=False, rstrip=False) if isinstance(bos_token, str) else bos_token
         eos_token = AddedToken(eos_token, lstrip=False, rstrip=False) if isinstance(eos_token, str) else eos_token
         unk_token = AddedToken(unk_token, lstrip=False, rstrip=False) if isinstance(unk_token, str) else unk_token
+        self.vocab_file = vocab_file
+        self.add_bos_token = add_bos_token
+        self.add_eos_token = add_eos_token
+        self.sp_model = spm.SentencePieceProcessor(**self.sp_model_kwargs)
+        self.sp_model.Load(vocab_file)
         super().__init__(
             bos_token=bos_token,
             eos_token=eos_token,
@@ -36,11 +41,6 @@
             clean_up_tokenization_spaces=clean_up_tokenization_spaces,
             **kwargs,
         )
-        self.vocab_file = vocab_file
-        self.add_bos_token = add_bos_token
-        self.add_eos_token = add_eos_token
-        self.sp_model = spm.SentencePieceProcessor(**self.sp_model_kwargs)
-        self.sp_model.Load(vocab_file)
\x20
     def __getstate__(self):
         state = dict(self.__dict__)
"""


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bcli:
    """Run `bcli patch-tokenizer` in this process."""

    def run(*arguments: str | Path) -> Ran:
        return run_bcli(("patch-tokenizer", *map(str, arguments)), monkeypatch, capfd)

    return run


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint", BROKEN["Baichuan2-7B"])


@pytest.fixture
def proved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, bool]]:
    """Let every proof succeed at once; return what was asked for."""
    asked: list[tuple[Path, bool]] = []

    def prove(folder: Path, *, fast: bool) -> proof.Proof:
        asked.append((folder, fast))
        return proof.Proof("BaichuanTokenizer", "5.19.0", 13, fast=True)

    monkeypatch.setattr(proof, "prove", prove)
    return asked


def test_patching(bcli: Bcli, checkpoint: Path, proved: list[tuple[Path, bool]]) -> None:
    assert bcli(checkpoint) == Ran(
        0,
        CHANGES + "transformers 5.19.0 loads it as BaichuanTokenizer; the ids of 13 texts are SentencePiece's, "
        "and so are those of the exact fast tokenizer.\n",
        "Testing it with transformers. This runs the checkpoint's own Python code; --no-verify skips it.\n"
        f"Undo it with: bcli patch-tokenizer {checkpoint} --revert\n",
    )
    assert proved == [(checkpoint, False)]
    assert bcli(checkpoint) == Ran(0, "Nothing to patch.\n", "")
    assert proved == [(checkpoint, False)], "what was not changed is not run"


def test_no_verify_runs_nothing(bcli: Bcli, checkpoint: Path, proved: list[tuple[Path, bool]]) -> None:
    ran = bcli(checkpoint, "--no-verify")
    assert ran == Ran(0, CHANGES, f"Undo it with: bcli patch-tokenizer {checkpoint} --revert\n")
    assert proved == []


def test_fast(bcli: Bcli, checkpoint: Path, proved: list[tuple[Path, bool]]) -> None:
    ran = bcli(checkpoint, "--fast")
    assert ran.stdout.splitlines()[1:-1] == [
        'tokenizer_config.json     "single_word" set to false; made to load tokenizer.json, without remote code',
        'special_tokens_map.json   "single_word" set to false',
        "tokenizer.json            written: SentencePiece's own ids, without remote code",
    ]
    assert ran.stderr.startswith("Testing it with transformers, without remote code.\n")
    assert proved == [(checkpoint, True)]
    assert bcli(checkpoint, "--fast", "--check") == Ran(0, "Nothing to patch.\n", "")
    assert bcli(checkpoint, "--revert").stdout.splitlines()[-1] == "tokenizer.json            removed"


def test_check_tells_by_its_exit_code_and_changes_nothing(bcli: Bcli, checkpoint: Path) -> None:
    before = {path: path.read_bytes() for path in checkpoint.iterdir()}
    assert bcli(checkpoint, "--check") == Ran(1, CHANGES, "")
    assert {path: path.read_bytes() for path in checkpoint.iterdir()} == before
    bcli(checkpoint, "--no-verify")
    assert bcli(checkpoint, "--check") == Ran(0, "Nothing to patch.\n", "")


def test_diff(bcli: Bcli, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", BROKEN["Baichuan2-7B"], single_word=False)
    assert bcli(folder, "--diff") == Ran(0, DIFF, "")
    assert bcli(folder, "--diff", "--check") == Ran(1, DIFF, "")


def test_diff_of_a_file_without_a_line_end(bcli: Bcli, checkpoint: Path) -> None:
    for name in ("tokenization_baichuan.py", "special_tokens_map.json"):
        (checkpoint / name).unlink()
    (checkpoint / "tokenizer_config.json").write_text('{"eos_token": {"content": "</s>", "single_word": true}}')
    assert bcli(checkpoint, "--diff").stdout == (
        "--- a/tokenizer_config.json\n"
        "+++ b/tokenizer_config.json\n"
        "@@ -1 +1 @@\n"
        '-{"eos_token": {"content": "</s>", "single_word": true}}\n'
        "\\ No newline at end of file\n"
        '+{"eos_token": {"content": "</s>", "single_word": false}}\n'
        "\\ No newline at end of file\n"
    )


def test_revert(bcli: Bcli, checkpoint: Path) -> None:
    bcli(checkpoint, "--no-verify")
    assert bcli(checkpoint, "--revert") == Ran(
        0,
        "tokenization_baichuan.py  as it was\n"
        "tokenizer_config.json     as it was\n"
        "special_tokens_map.json   as it was\n",
        "",
    )
    assert bcli(checkpoint, "--revert") == Ran(0, "Nothing to revert.\n", "")


def test_revert_says_what_it_left_alone(bcli: Bcli, checkpoint: Path) -> None:
    bcli(checkpoint, "--no-verify")
    (checkpoint / "tokenizer_config.json").write_text("{}")
    ran = bcli(checkpoint, "--revert")
    assert ran.code == 5
    assert ran.stderr == (
        "error: Left alone, because something changed it after bcli: tokenizer_config.json.\n"
        f"  The originals are in {checkpoint}/.bcli/originals.\n"
    )


def test_a_stale_copy_is_named_and_removed(bcli: Bcli, checkpoint: Path, isolation: Path) -> None:
    copy = isolation / "huggingface/modules/transformers_modules/checkpoint/tokenization_baichuan.py"
    copy.parent.mkdir(parents=True)
    copy.write_bytes((checkpoint / "tokenization_baichuan.py").read_bytes())
    assert f"stale copy                {copy}\n" in bcli(checkpoint, "--check").stdout
    assert f"stale copy removed        {copy}\n" in bcli(checkpoint, "--no-verify").stdout
    assert not copy.exists()
    copy.write_bytes((checkpoint / "tokenization_baichuan.py").read_bytes())
    assert f"stale copy removed        {copy}\n" in bcli(checkpoint, "--revert").stdout


@pytest.mark.parametrize("arguments", [[], ["--check"], ["--diff"]])
def test_code_that_is_not_known_is_left_alone(bcli: Bcli, tmp_path: Path, arguments: list[str]) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", Layout(body=MODEL), single_word=False)
    assert bcli(folder, *arguments) == Ran(
        5,
        "",
        "error: tokenization_baichuan.py was left alone: it calls super().__init__() nowhere in its __init__.\n"
        "  Read it before a program runs it. bcli never does; --fast makes it unnecessary for others.\n",
    )


@pytest.mark.parametrize("layout", WORKING.values(), ids=WORKING)
def test_what_works_is_not_touched(bcli: Bcli, tmp_path: Path, layout: Layout) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", layout, single_word=False)
    assert bcli(folder, "--check") == Ran(0, "Nothing to patch.\n", "")
    assert bcli(folder) == Ran(0, "Nothing to patch.\n", "")
    assert not (folder / ".bcli").exists()


def test_json(bcli: Bcli, checkpoint: Path, proved: list[tuple[Path, bool]]) -> None:
    checked = json.loads(bcli(checkpoint, "--check", "--diff", "--json").stdout)
    assert [sorted(change) for change in checked["changes"]] == [["diff", "file", "what"]] * 3
    assert not checked["written"]
    assert json.loads(bcli(checkpoint, "--json").stdout) == {
        "schema": "bcli.patch-tokenizer/1",
        "folder": str(checkpoint),
        "written": True,
        "changes": [{"file": line.split()[0], "what": line.split(maxsplit=1)[1]} for line in CHANGES.splitlines()],
        "stale_copies": [],
        "unrecognised": None,
        "proof": {"class_name": "BaichuanTokenizer", "transformers": "5.19.0", "texts": 13, "fast": True},
    }
    assert json.loads(bcli(checkpoint, "--revert", "--json").stdout) == {
        "schema": "bcli.patch-tokenizer/1",
        "folder": str(checkpoint),
        "restored": ["tokenization_baichuan.py", "tokenizer_config.json", "special_tokens_map.json"],
        "changed_since": [],
        "stale_copies": [],
    }


def test_a_stored_model_is_found_by_name_and_its_record_follows(bcli: Bcli, isolation: Path) -> None:
    store = isolation / "data" / "models"
    store.mkdir(parents=True)
    folder = write_checkpoint(store / "baichuan2-7b-chat", BROKEN["Baichuan2-7B"])
    (folder / "model.safetensors").write_bytes(b"")
    code = (folder / "tokenization_baichuan.py").read_bytes()
    files = {"tokenization_baichuan.py": FileRecord(size=len(code), sha256=sha256_of(code))}
    write_manifest(folder, Manifest(name="baichuan2-7b-chat", source="huggingface", files=files, state="complete"))
    assert bcli("baichuan-inc/Baichuan2-7B-Chat", "--no-verify").stdout == CHANGES
    manifest = read_manifest(folder)
    assert manifest is not None
    patched = (folder / "tokenization_baichuan.py").read_bytes()
    assert manifest.expected()["tokenization_baichuan.py"].sha256 == sha256_of(patched)
    assert set(manifest.patches) == {"tokenization_baichuan.py", "tokenizer_config.json", "special_tokens_map.json"}
    bcli("baichuan2-7b-chat", "--revert")
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.patches == {}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["baichuan3"], 4, "error: There is no model 'baichuan3'."),
        (["./nowhere"], 4, "error: There is no folder nowhere."),
        ([__file__], 5, f"error: {__file__} is a file, not a model's folder."),
        (["baichuan2-7b-chat"], 4, "error: baichuan2-7b-chat is not on this machine."),
        (["{empty}"], 4, "error: There is no tokenizer in {empty}."),
        (["{empty}", "--revert", "--check"], 2, "error: --revert cannot be combined with --check, --diff or --fast."),
    ],
)
def test_bad_input(bcli: Bcli, tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    ran = bcli(*(argument.format(empty=tmp_path) for argument in arguments))
    assert (ran.code, ran.stdout) == (code, "")
    assert ran.stderr.startswith(message.format(empty=tmp_path))


def test_a_folder_that_cannot_be_written_to_is_named(
    bcli: Bcli, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("baichuan_cli.tokenizer.originals.replace_file", refuse)
    ran = bcli(checkpoint)
    assert ran.code == 7
    assert ran.stderr.startswith("error: Not allowed to write: ")
