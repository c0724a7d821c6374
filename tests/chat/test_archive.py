"""Past conversations are listed by when they were used, and found by the beginning of their name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from baichuan_cli.chat import archive
from baichuan_cli.chat.events import Asked, Begun, to_line
from baichuan_cli.errors import BcliError

NAMES = ("20261120-090000", "20261122-153012", "20261122-153012-2", "20261121-080000")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for age, (name, model) in enumerate(zip(reversed(NAMES), ("demo", "demo-alibi", "demo", "demo"), strict=True)):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(to_line(Begun(at="", model=model)) + to_line(Asked(content=f"问{age}")))
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "20261123-000000.jsonl").touch()  # of a process that was killed before it wrote
    return tmp_path


def test_the_last_used_comes_last(folder: Path) -> None:
    assert archive.names(folder) == list(NAMES)
    assert [kept.name for kept in archive.conversations(folder)] == list(NAMES)
    assert [kept.conversation.model for kept in archive.conversations(folder) if kept.conversation] == [
        "demo",
        "demo",
        "demo-alibi",
        "demo",
    ]


def test_one_that_cannot_be_read_is_listed_all_the_same(folder: Path) -> None:
    (folder / "20261122-153012.jsonl").write_bytes(b"damaged\n")
    found = {kept.name: kept.conversation for kept in archive.conversations(folder)}
    assert found.pop("20261122-153012") is None
    assert None not in found.values()


def test_a_file_that_cannot_even_be_opened_hides_no_other(folder: Path) -> None:
    (folder / "20261124-000000.jsonl").mkdir()
    found = {kept.name: kept.conversation for kept in archive.conversations(folder)}
    assert found.pop("20261124-000000") is None
    assert len(found) == len(NAMES) and None not in found.values()
    assert archive.latest(folder, "demo").stem == "20261121-080000"


def test_the_beginning_of_a_name_is_enough(folder: Path) -> None:
    assert archive.find(folder, "20261120").stem == "20261120-090000"
    assert archive.find(folder, "20261122-153012").stem == "20261122-153012"
    with pytest.raises(BcliError) as several:
        archive.find(folder, "20261122")
    assert several.value.message == "2 conversations begin with 20261122: 20261122-153012, 20261122-153012-2."
    with pytest.raises(BcliError) as none:
        archive.find(folder, "2025")
    assert (none.value.message, none.value.hint) == (
        "There is no conversation 2025.",
        "All of them: bcli chat --list",
    )


def test_the_latest_of_all_or_of_one_model(folder: Path) -> None:
    assert archive.latest(folder).stem == "20261121-080000"
    assert archive.latest(folder, "demo-alibi").stem == "20261122-153012-2"
    with pytest.raises(BcliError) as none:
        archive.latest(folder, "baichuan2-7b-chat")
    assert none.value.message == "There is no conversation with baichuan2-7b-chat to resume."
    assert none.value.hint == "Begin one: bcli chat baichuan2-7b-chat"
    with pytest.raises(BcliError, match=r"^There is no conversation to resume\.$"):
        archive.latest(folder / "nothing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20261122", True),
        ("20261122-", True),
        ("20261122-153012", True),
        ("20261122-153012-2", True),
        ("demo", False),
        ("baichuan2-7b-chat", False),
        ("2026", False),
        ("./20261122", False),
    ],
)
def test_names_of_conversations_are_told_from_models(text: str, expected: bool) -> None:
    assert archive.looks_like_name(text) is expected
