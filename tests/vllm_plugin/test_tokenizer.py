"""Tokenizers as transformers loads them from a checkpoint's folder; their exactness is tested on its own."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import shutil
from pathlib import Path

import pytest
import sentencepiece
from transformers import AutoTokenizer

from reference.releases import transformers_5
from reference.small_tokenizer import write_tokenizer

TEXT = "床前明月光，the  quick fox\n12 <reserved_106>é"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "baichuan", "transformers_version": "4.29.2"}')
    return write_tokenizer(tmp_path)


@pytest.mark.parametrize("class_name", ["BaichuanTokenizer", "BaiChuanTokenizer"])
@pytest.mark.parametrize(
    "trust_remote_code", [False, pytest.param(True, marks=transformers_5("runs remote code that is trusted"))]
)
def test_both_spellings_load_without_remote_code(folder: Path, class_name: str, trust_remote_code: bool) -> None:
    write_tokenizer(folder, class_name=class_name)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    assert type(tokenizer).__name__ == class_name
    expected = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).encode(TEXT)
    assert tokenizer(TEXT)["input_ids"] == expected
    assert tokenizer.decode(expected) == TEXT


def test_special_tokens(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert ids == (0, 1, 2, 0)
    assert tokenizer("月</s>")["input_ids"] == [*tokenizer("月")["input_ids"], 2], "no word boundary is needed"
    assert tokenizer.decode(tokenizer("月</s>")["input_ids"], skip_special_tokens=True) == "月"


@transformers_5("cannot add them, which the tokenizer says")
@pytest.mark.parametrize(("bos", "eos"), [(True, False), (False, True), (True, True)])
def test_bos_and_eos_where_the_checkpoint_wants_them(folder: Path, bos: bool, eos: bool) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"add_bos_token": bos, "add_eos_token": eos}))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = tokenizer("月", add_special_tokens=False)["input_ids"]
    assert tokenizer("月")["input_ids"] == [1] * bos + plain + [2] * eos


def test_a_tokenizer_json_beside_it_is_not_trusted(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    assert AutoTokenizer.from_pretrained(folder)("月")["input_ids"]


def test_a_missing_tokenizer_model_is_named(folder: Path) -> None:
    (folder / "tokenizer.model").unlink()
    with pytest.raises(ValueError, match=r"This checkpoint has no tokenizer\.model"):
        AutoTokenizer.from_pretrained(folder)


def test_tokens_of_a_fine_tune_are_kept(folder: Path) -> None:
    size = len(AutoTokenizer.from_pretrained(folder))
    (folder / "added_tokens.json").write_text(json.dumps({"<tool>": size}))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer("月<tool>")["input_ids"][-1] == size
    assert len(tokenizer) == size + 1


def test_saving_copying_and_pickling_change_nothing(folder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(tmp_path / "saved")
    shutil.copyfile(folder / "config.json", tmp_path / "saved" / "config.json")
    loaded = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for other in (loaded, copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert other(TEXT)["input_ids"] == tokenizer(TEXT)["input_ids"]


def test_the_real_models_load_without_a_false_alarm(
    real_model: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copyfile(real_model, folder / "tokenizer.model")
    logging.getLogger("transformers").addHandler(caplog.handler)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    logging.getLogger("transformers").removeHandler(caplog.handler)
    assert "mistral" not in caplog.text
    assert not getattr(tokenizer.backend_tokenizer, "fix_mistral_regex", False)
    assert tokenizer("床前明月光")["input_ids"] == sentencepiece.SentencePieceProcessor(
        model_file=str(real_model)
    ).encode("床前明月光")
