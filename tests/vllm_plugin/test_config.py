"""What a checkpoint is, told from its config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from baichuan_cli.vllm_plugin.config import BaichuanConfig

SEVEN = {"hidden_size": 4096, "num_attention_heads": 32, "max_position_embeddings": 4096}
THIRTEEN = {"hidden_size": 5120, "num_attention_heads": 40, "model_max_length": 4096}


def read(folder: Path, **config: Any) -> BaichuanConfig:
    """Load a config.json of the published kind, which names remote code."""
    remote = {"AutoConfig": "configuration_baichuan.BaichuanConfig"}
    (folder / "config.json").write_text(json.dumps({"model_type": "baichuan", "auto_map": remote, **config}))
    return AutoConfig.from_pretrained(folder)


@pytest.mark.parametrize(
    ("published", "alibi", "norm_head"),
    [
        pytest.param(SEVEN | {"vocab_size": 64000}, False, False, id="Baichuan-7B"),
        pytest.param(THIRTEEN | {"vocab_size": 64000}, True, False, id="Baichuan-13B"),
        pytest.param(SEVEN | {"vocab_size": 125696, "model_max_length": 4096}, False, True, id="Baichuan2-7B"),
        pytest.param(THIRTEEN | {"vocab_size": 125696}, True, True, id="Baichuan2-13B"),
        pytest.param(THIRTEEN | {"vocab_size": 64000, "max_position_embeddings": 4096}, True, False, id="13B resaved"),
    ],
)
def test_published_layouts(tmp_path: Path, published: dict[str, Any], alibi: bool, norm_head: bool) -> None:
    config = read(tmp_path, **published)
    assert (config.alibi, config.norm_head, config.max_position_embeddings) == (alibi, norm_head, 4096)


def test_what_was_told_survives_saving_and_a_new_vocabulary(tmp_path: Path) -> None:
    config = read(tmp_path, **THIRTEEN, vocab_size=125696)
    config.vocab_size = 125700
    config.save_pretrained(tmp_path / "tuned")
    tuned = AutoConfig.from_pretrained(tmp_path / "tuned")
    assert (tuned.alibi, tuned.norm_head, tuned.vocab_size) == (True, True, 125700)


def test_the_class_of_baichuan_7b_stands_for_rotary_embeddings(tmp_path: Path) -> None:
    assert not read(tmp_path, **THIRTEEN, architectures=["BaiChuanForCausalLM"]).alibi


def test_explicit_values_win(tmp_path: Path) -> None:
    config = read(tmp_path, **SEVEN, vocab_size=70000, norm_head=True, alibi=True)
    assert (config.alibi, config.norm_head) == (True, True)


@pytest.mark.parametrize("name", ["alibi", "norm_head"])
def test_a_switch_is_true_or_false(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} in the model's config must be true or false, not 'yes'"):
        BaichuanConfig(**{name: "yes"})


def test_a_tied_head_cannot_be_normalised() -> None:
    with pytest.raises(ValueError, match="norm_head with tie_word_embeddings"):
        BaichuanConfig(norm_head=True, tie_word_embeddings=True)
