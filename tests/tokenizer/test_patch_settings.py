"""Single values of JSON files change, and no other byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.tokenizer.json_edit import ABSENT, edit_json
from baichuan_cli.tokenizer.patch import plan_patch
from tokenizer.published_code import BROKEN, Layout, write_checkpoint

WORDS = {"content": "</s>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": True}
PLAIN = {**WORDS, "single_word": False}


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        (b'{"a":1}', {("a",): 2}, b'{"a":2}'),
        (b'{\r\n\t"a" :  true ,\r\n\t"b": "a,}"\r\n}', {("a",): False}, b'{\r\n\t"a" :  false ,\r\n\t"b": "a,}"\r\n}'),
        (b'{"a": [{"x": 1}, {"x": [2, 3]}]} \n', {("a", 1, "x", 0): None}, b'{"a": [{"x": 1}, {"x": [null, 3]}]} \n'),
        (b'{"\\u0061": 1, "\\"": 2}', {("a",): "\u4e2d", ('"',): {}}, '{"\\u0061": "\u4e2d", "\\"": {}}'.encode()),
        (b'{\n  "a": 1,\n  "b": 2\n}', {("a",): ABSENT}, b'{\n  "b": 2\n}'),
        (b'{\n  "a": 1,\n  "b": 2\n}', {("b",): ABSENT}, b'{\n  "a": 1\n}'),
        (b'{ "a": [1, {}] }', {("a",): ABSENT}, b"{  }"),
        (b'{\n  "a": 1\n}', {("b",): [2]}, b'{\n  "b": [2],\n  "a": 1\n}'),
        (b"{}\n", {("b",): 2}, b'{"b": 2}\n'),
        (b'{"a": 1}', {("b",): 2}, b'{"b": 2, "a": 1}'),
        (b'{"a": 1, "a": 2}', {("a",): 3}, b'{"a": 1, "a": 3}'),
    ],
)
def test_only_the_value_changes(before: bytes, changes: Any, after: bytes) -> None:
    assert edit_json(before, changes) == after


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b'{"a": {"x": 1}, "a": {}}', ("a", "x")),
        (b'{"a": 1}', ("b", "c")),
        (b"{", ("a",)),
        ("{}".encode("utf-16"), ("a",)),
    ],
)
def test_what_cannot_be_changed_is_refused(text: bytes, path: Any) -> None:
    with pytest.raises(ValueError, match="."):
        edit_json(text, {path: ABSENT if path == ("a", "x") else 1})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=5),
    st.data(),
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
)
def test_any_member_can_be_changed_or_taken_out(
    content: dict[str, Any], data: st.DataObject, indent: int | str | None, ascii_only: bool
) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_only).encode()
    key = data.draw(st.sampled_from(sorted(content)))
    assert json.loads(edit_json(text, {(key,): False})) == content | {key: False}
    assert json.loads(edit_json(text, {(key,): ABSENT})) == {k: v for k, v in content.items() if k != key}


@pytest.mark.parametrize(
    ("config", "token_map", "patched"),
    [
        ({"eos_token": WORDS}, {"eos_token": WORDS}, ["tokenizer_config.json", "special_tokens_map.json"]),
        ({"eos_token": WORDS}, None, ["tokenizer_config.json"]),
        ({"eos_token": WORDS}, {"eos_token": PLAIN}, []),  # Baichuan2-7B: the second file counts
        ({"eos_token": PLAIN}, {"eos_token": PLAIN}, []),
        ({"eos_token": "</s>", "added_tokens_decoder": {"2": WORDS}}, None, ["tokenizer_config.json"]),
        ({"eos_token": "</s>", "added_tokens_decoder": {"9": {**WORDS, "content": "<tool>"}}}, None, []),
        ({"eos_token": {"single_word": True}, "added_tokens_decoder": [1]}, None, []),
    ],
)
def test_single_word_is_set_to_false_where_it_counts(
    tmp_path: Path, config: Any, token_map: Any, patched: list[str]
) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    if token_map is not None:
        (tmp_path / "special_tokens_map.json").write_text(json.dumps(token_map))
    edits = plan_patch(tmp_path).edits
    assert [edit.name for edit in edits] == patched
    for edit in edits:
        assert edit.before is not None
        assert edit.after == edit.before.replace(b'"single_word": true', b'"single_word": false')


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(BcliError) as caught:
        plan_patch(tmp_path)
    assert caught.value.message == "tokenizer_config.json is damaged: it holds no JSON object."
    assert caught.value.exit_code == ExitCode.INVALID


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BcliError, match="There is no tokenizer in") as caught:
        plan_patch(tmp_path)
    assert caught.value.exit_code == ExitCode.NOT_FOUND


def test_fast_names_the_class_and_takes_the_remote_code_out(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, Layout())
    before = json.loads((tmp_path / "tokenizer_config.json").read_bytes())
    edits = {edit.name: edit for edit in plan_patch(tmp_path, fast=True).edits}
    assert list(edits) == [
        "tokenization_baichuan.py",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
    ]
    after = json.loads(edits["tokenizer_config.json"].after)
    expected = before | {
        name: before[name] | {"single_word": False, "normalized": False}
        for name in ("bos_token", "eos_token", "unk_token", "pad_token")
    }
    del expected["auto_map"]
    expected |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]}
    assert after == expected


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("tokenizer_config.json", '{"add_bos_token": true}', "tokenizer_config.json has add_bos_token: true."),
        ("added_tokens.json", "{}", "added_tokens.json adds tokens to those of tokenizer.model."),
        ("tokenizer.model", "no model", "tokenizer.model is damaged, or no SentencePiece model."),
        ("tokenizer.model", None, "there is no tokenizer.model in"),
    ],
)
def test_there_is_no_fast_variant_that_is_not_exact(
    tmp_path: Path, file: str, content: str | None, reason: str
) -> None:
    write_checkpoint(tmp_path, BROKEN["7B"])
    (tmp_path / file).unlink(missing_ok=True)
    if content is not None:
        (tmp_path / file).write_text(content)
    with pytest.raises(BcliError) as caught:
        plan_patch(tmp_path, fast=True)
    assert caught.value.message.startswith("No exact tokenizer.json can be written: ")
    assert reason in caught.value.message
