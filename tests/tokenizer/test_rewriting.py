"""Baichuan 1's rewriting in Python against SentencePiece's own normaliser."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_cli.tokenizer.rewriting import rewriter
from baichuan_cli.vllm_plugin.charsmap import Charsmap
from baichuan_cli.vllm_plugin.sentencepiece_model import read_model
from reference.sentencepiece_models import model_file

rewriting_model = pytest.mark.parametrize("name", ["small1", "baichuan1"])


@cache
def slow(name: str) -> Any:
    return sentencepiece.SentencePieceProcessor(model_file=str(model_file(name)))


@cache
def rewrite(name: str) -> Callable[[str], str]:
    return rewriter(read_model(model_file(name)))


@rewriting_model
def test_every_character_of_unicode(name: str) -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(characters), 256):
        text = "a".join(characters[start : start + 256])
        assert rewrite(name)(text) == slow(name).normalize(text)


@rewriting_model
@settings(deadline=None)  # the first example loads the model
@given(
    text=st.text(
        st.characters(categories=["M", "Ll", "Lo"]) | st.sampled_from("eかｶﾞ각\u0301\u3099\r\n①０，"), max_size=12
    )
)
def test_any_sequence_of_letters_and_marks(name: str, text: str) -> None:
    assert rewrite(name)(text) == slow(name).normalize(text)


def test_the_longest_sequence_wins() -> None:
    text = "か\u3099ハ\u309aｶﾞe\u0301\u0302ᄀ\u1161\u11a8ﾡￂ"
    assert rewrite("small1")(text) == "\u2581がパガé\u0302각가"
    assert rewrite("small1")(text) == slow("small1").normalize(text)


def test_a_sequence_that_is_not_in_the_table_has_no_replacement() -> None:
    table = Charsmap(read_model(model_file("small1")).charsmap)
    assert table.replacement("①") == "1"
    for absent in ("你", "e", "e\u0301x"):
        with pytest.raises(KeyError):
            table.replacement(absent)


def test_text_that_is_taken_as_it_is() -> None:
    assert rewrite("small2")("（①） \r\ne\u0301") == "（①）\u2581\r\ne\u0301"
