"""Copies of the code that transformers keeps are found by the names that its releases give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from baichuan_cli.tokenizer.code_repair import is_broken
from baichuan_cli.tokenizer.modules_cache import find_copies, remove_copies
from tokenizer.published_code import BROKEN, WORKING

CODE = "tokenization_baichuan.py"
STALE = str(BROKEN["7B"]).encode()


def put(modules: Path, folder: str, content: bytes = STALE) -> Path:
    copy = modules / "transformers_modules" / folder / CODE
    (copy.parent / "__pycache__").mkdir(parents=True)
    copy.write_bytes(content)
    (copy.parent / "__pycache__" / "tokenization_baichuan.cpython-311.pyc").write_bytes(b"")
    (copy.parent / "__pycache__" / "modeling_baichuan.cpython-311.pyc").write_bytes(b"")
    return copy


@pytest.fixture
def modules(isolation: Path) -> Path:
    return isolation / "huggingface" / "modules"


@pytest.mark.parametrize(
    "cached",
    [
        "Baichuan2-7B.v1",  # transformers 4.41
        "Baichuan2-7B_dot_v1",
        "Baichuan2_hyphen_7B_dot_v1/0123456789abcdef",  # transformers 5
    ],
)
def test_the_copy_of_a_folder(tmp_path: Path, modules: Path, cached: str) -> None:
    copy = put(modules, cached)
    others = [put(modules, "Baichuan-7B"), put(modules, "Baichuan2-7B_dot_v1x")]
    found = find_copies(tmp_path / "Baichuan2-7B.v1", is_broken)
    assert found == (copy,)
    remove_copies(found)
    assert [path.name for path in copy.parent.rglob("*.*")] == ["modeling_baichuan.cpython-311.pyc"]
    assert all(other.exists() for other in others)


@pytest.mark.parametrize(
    "cached", ["baichuan-inc/Baichuan2-7B-Chat", "baichuan_hyphen_inc/Baichuan2_hyphen_7B_hyphen_Chat"]
)
def test_the_copy_of_a_snapshot_in_the_hub_s_cache(tmp_path: Path, modules: Path, cached: str) -> None:
    snapshot = tmp_path / "models--baichuan-inc--Baichuan2-7B-Chat" / "snapshots" / "84603cd"
    by_repository, by_folder = put(modules, f"{cached}/84603cd"), put(modules, "_84603cd")
    put(modules, f"{cached}/0000000")
    assert set(find_copies(snapshot, is_broken)) == {by_repository, by_folder}


def test_a_copy_that_works_stays(tmp_path: Path, modules: Path) -> None:
    put(modules, "model", str(WORKING["repaired upstream"]).encode())
    assert find_copies(tmp_path / "model", is_broken) == ()


def test_the_cache_is_where_its_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "cache"))
    copy = put(tmp_path / "cache", "model")
    assert find_copies(tmp_path / "model", is_broken) == (copy,)


def test_no_cache_is_no_copy(tmp_path: Path) -> None:
    assert find_copies(tmp_path / "model", is_broken) == ()
