"""SentencePiece models to compare with: small ones trained on the spot, and the published ones where they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import sentencepiece
from sentencepiece.sentencepiece_model_pb2 import ModelProto

SMALL = ("small1", "small2")  # in Baichuan 1's and in Baichuan 2's manner
PUBLISHED = ("baichuan1", "baichuan2")
_SHARED = Path(__file__).parents[3] / "shared" / "tokenizers"
_TEXT = [
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。（测试）；人工智能是计算机科学的一个分支。",
    "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs: 12,345 there here where",
    "かがきぎ ハバパ é è ê ệ ö ñ — … “quoted” «là» αβγ ἄλφα 한국어 가나다 é",
    "a    b        c aaaa eeee ==== ---- **** ererere",
] * 20
_PUNCTUATION = [
    "\n",
    "\t",
    *"０１２３４５６７８９0123456789，。！？：.!?",
    "<br>",
    "</h1>",
    "```",
    "---",
    "...",
    "。。。",
]


def model_file(name: str) -> Path:
    """Return the `tokenizer.model` of this name; skip the test where a published one is not at hand."""
    if name in PUBLISHED:
        path = _SHARED / f"{name}.model"
        if not path.exists():
            pytest.skip(f"{path} is missing: the real tokenizer models are not part of this repository")
        return path
    return _trained(name)


def golden(name: str) -> list[tuple[str, list[int]]]:
    """Return texts and ids that others published with a real tokenizer."""
    path = _SHARED / "golden.json"
    if not path.exists():
        pytest.skip(f"{path} is missing: the real tokenizer models are not part of this repository")
    return [(case["text"], case["ids"]) for case in json.loads(path.read_text())[name]["encode"]]


@cache
def _trained(name: str) -> Path:
    if name == "small1":
        return train(
            user_defined_symbols=_symbols(192 - 102), normalization_rule_name="nmt_nfkc", add_dummy_prefix=True
        )
    return train(user_defined_symbols=_symbols(192 - 106), split_digits=True, allow_whitespace_only_pieces=True)


def _symbols(ordinary: int) -> list[str]:
    """Return symbols such that, as in the published models, id 195 opens a user's turn."""
    fillers = [f"<mark{number}>" for number in range(ordinary - len(_PUNCTUATION))]
    return [*_PUNCTUATION, *fillers, *(f"<reserved_{number}>" for number in range(120))]


def train(**options: Any) -> Path:
    """Train a small model, in Baichuan 2's manner but for the options."""
    prefix = Path(mkdtemp()) / "tokenizer"
    defaults = {
        "model_type": "bpe",
        "vocab_size": 900,
        "hard_vocab_limit": False,
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "byte_fallback": True,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXT), model_prefix=str(prefix), **defaults | options
    )
    return prefix.with_suffix(".model")


def edited(source: Path, target: Path, edit: Callable[[Any], object]) -> Path:
    """Write a model after a change to its protocol buffer."""
    proto = ModelProto.FromString(source.read_bytes())
    edit(proto)
    target.write_bytes(proto.SerializeToString())
    return target
