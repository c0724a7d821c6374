"""What verification finds in a model that changed on the disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from baichuan_cli.hub.manifest import FileRecord
from baichuan_cli.hub.verify import Verification, verify
from catalog.checkpoint_folder import Folder

WHOLE = Verification(hashed=3, sized=0, missing=(), changed={}, extra=(), unsound="")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = Folder(tmp_path / "model", "baichuan-7b", vocab_size=256)
    made.write_safetensors()
    return made.path


@pytest.fixture
def expected(folder: Path) -> dict[str, FileRecord]:
    return {
        path.name: FileRecord(size=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.iterdir())
    }


def check(folder: Path, expected: dict[str, FileRecord]) -> Verification:
    return verify(folder, expected, lambda count: None)


def test_a_whole_model_is_read_byte_for_byte(folder: Path, expected: dict[str, FileRecord]) -> None:
    read: list[int] = []
    assert verify(folder, expected, read.append) == WHOLE
    assert sum(read) == sum(record.size for record in expected.values())


def test_one_flipped_bit_in_a_tensor(folder: Path, expected: dict[str, FileRecord]) -> None:
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    found = check(folder, expected)
    assert not found.passed
    assert found.hashed == 2
    assert found.changed == {
        "model.safetensors": f"its SHA-256 is {sha256}, not {expected['model.safetensors'].sha256}"
    }


def test_what_is_missing_extra_or_of_another_size(folder: Path, expected: dict[str, FileRecord]) -> None:
    (folder / "tokenizer.model").unlink()
    (folder / "config.json").write_text("{}")
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").touch()
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").touch()
    found = check(folder, expected)
    assert found == Verification(
        hashed=1,
        sized=0,
        missing=("tokenizer.model",),
        changed={"config.json": f"it has 2 bytes, not {expected['config.json'].size}"},
        extra=("notes/mine.txt",),
        unsound="",
    )


def test_a_folder_or_a_dead_link_in_the_place_of_a_file(folder: Path, expected: dict[str, FileRecord]) -> None:
    for name in ("config.json", "tokenizer.model"):
        (folder / name).unlink()
    (folder / "config.json").mkdir()
    (folder / "tokenizer.model").symlink_to("nowhere")
    found = check(folder, expected)
    assert (found.missing, found.changed) == (("tokenizer.model",), {"config.json": "it is no regular file"})


def test_files_without_a_hash_are_compared_by_size(folder: Path, expected: dict[str, FileRecord]) -> None:
    by_size = {path: FileRecord(size=record.size) for path, record in expected.items()}
    assert check(folder, by_size) == Verification(0, 3, (), {}, (), "")


def test_without_a_record_the_structure_is_checked(folder: Path) -> None:
    assert check(folder, {}) == Verification(0, 0, (), {}, (), "")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    found = check(folder, {})
    assert not found.passed
    assert found.unsound.startswith("model.safetensors is cut short: ")


def test_files_as_recorded_can_still_make_no_model(folder: Path, expected: dict[str, FileRecord]) -> None:
    (folder / "model.safetensors").unlink()
    del expected["model.safetensors"]
    found = check(folder, expected)
    assert not found.passed
    assert found.unsound == f"There are no weights in {folder}: no .safetensors and no .bin file."
