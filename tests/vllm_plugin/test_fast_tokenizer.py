"""The fast tokenizer against SentencePiece itself: the same ids, the same text, or a refusal."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from baichuan_cli.vllm_plugin.fast_tokenizer import build_fast_tokenizer
from reference.sentencepiece_models import PUBLISHED, SMALL, edited, golden, model_file, train
from reference.varied_text import varied_texts

rewriting_model = pytest.mark.parametrize("name", ["small1", "baichuan1"])
every_model = pytest.mark.parametrize("name", [*SMALL, *PUBLISHED])
UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 2, 3, 4, 5, 6


@cache
def fast(name: str) -> Tokenizer:
    return build_fast_tokenizer(model_file(name))


@cache
def slow(name: str) -> Any:
    return sentencepiece.SentencePieceProcessor(model_file=str(model_file(name)))


def assert_same(name: str, texts: list[str]) -> None:
    expected = slow(name).encode(texts)
    encoded = [encoding.ids for encoding in fast(name).encode_batch(texts, add_special_tokens=False)]
    assert [case for case in zip(texts, expected, encoded, strict=True) if case[1] != case[2]] == []
    decoded = fast(name).decode_batch(expected)
    assert [
        case for case in zip(expected, slow(name).decode(expected), decoded, strict=True) if case[1] != case[2]
    ] == []


@every_model
def test_ids_and_text_are_sentencepieces(name: str) -> None:
    pieces = [slow(name).id_to_piece(index) for index in range(slow(name).get_piece_size())]
    assert_same(name, list(varied_texts(pieces, seed=20231106, count=12_000)))


@rewriting_model
def test_every_character_of_unicode(name: str) -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    assert_same(name, ["a".join(characters[start : start + 256]) for start in range(0, len(characters), 256)])


@every_model
@settings(deadline=None)  # the first example loads the model
@given(text=st.text())
def test_any_text(name: str, text: str) -> None:
    assert_same(name, [text])


@every_model
def test_runs_of_one_character_are_cut_from_the_left(name: str) -> None:
    assert_same(name, [unit * length for unit in (" ", "a", "er", "ere", "-", "。", "=", "0") for length in range(70)])


@every_model
def test_any_ids_decode_alike(name: str) -> None:
    draw = random.Random(7)
    size = slow(name).get_piece_size()
    texts = [index for index in range(size) if not slow(name).is_byte(index) and index != slow(name).unk_id()]
    sequences = [draw.choices(texts, k=draw.randint(1, 12)) for _ in range(2_000)]
    assert fast(name).decode_batch(sequences) == slow(name).decode(sequences)


@pytest.mark.parametrize("name", PUBLISHED)
def test_ids_that_others_published(name: str) -> None:
    for text, ids in golden(name):
        assert fast(name).encode(text, add_special_tokens=False).ids == ids
        assert fast(name).decode(ids) == text


@every_model
def test_no_text_gives_a_control_piece_but_symbols_are_found(name: str) -> None:
    user = slow(name).id_to_piece(195)
    ids = fast(name).encode(f"<br></s><br>{user}<s><unk>", add_special_tokens=False).ids
    assert not {0, 1, 2} & set(ids)
    assert 195 in ids


@pytest.mark.parametrize(
    "text",
    [
        "\r\n",
        "e\u0301\u0302",
        "ϲ\u1ad1",
        "か\u3099",
        "①\u0301",
        "a\u0323\u0302",
        "a\u0302\u0323",
        "\x01\u0301",
        "＜br＞",
        "\x01",
    ],
)
@rewriting_model
def test_sequences_that_the_rust_normaliser_alone_gets_wrong(name: str, text: str) -> None:
    assert_same(name, [text, f"a{text}", f"{text}你", text * 2])


@every_model
def test_saving_and_loading_changes_nothing(name: str) -> None:
    loaded = Tokenizer.from_str(fast(name).to_str())
    text = "床前明月光 ①e\u0301<br>9"
    assert loaded.encode(text).ids == fast(name).encode(text).ids
    assert loaded.get_vocab_size() == slow(name).get_piece_size()


def test_without_byte_fallback(tmp_path: Path) -> None:
    path = train(byte_fallback=False)
    text = "the 😀😀 fox 🦊"
    ids = sentencepiece.SentencePieceProcessor(model_file=str(path)).encode(text)
    assert 0 in ids
    assert build_fast_tokenizer(path).encode(text).ids == ids


def _set_piece(index: int, **fields: object) -> Callable[[Any], None]:
    def edit(proto: Any) -> None:
        for field, value in fields.items():
            setattr(proto.pieces[index], field, value)

    return edit


def _compete(proto: Any) -> None:
    """Give `th` and `he` one score: of t, h, e SentencePiece merges what is further left."""
    for piece in proto.pieces:
        if piece.piece in ("th", "he"):
            piece.score = 1.0


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda proto: setattr(proto.trainer_spec, "model_type", 1), "its type is unigram, not bpe"),
        (lambda proto: setattr(proto.normalizer_spec, "remove_extra_whitespaces", True), "removes extra white space"),
        (lambda proto: setattr(proto.normalizer_spec, "escape_whitespaces", False), "spaces as a prefix"),
        (lambda proto: setattr(proto.denormalizer_spec, "precompiled_charsmap", b"x"), "rewrites decoded text"),
        (_set_piece(-1, type=UNUSED), "unused pieces"),
        (_set_piece(-1, type=UNKNOWN), "not exactly one unknown piece"),
        (_set_piece(-1, type=BYTE), "lacks some of the 256 byte pieces"),
        (_set_piece(3, piece="a b"), "'a b' holds a space"),
        (_set_piece(-1, piece="☃"), "occurs in a piece but has none"),
        (_compete, "compete for 'h'"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_a_model_that_cannot_be_exact_is_refused(tmp_path: Path, edit: Callable[[Any], object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        build_fast_tokenizer(edited(model_file("small2"), tmp_path / "tokenizer.model", edit))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            lambda proto: setattr(proto.normalizer_spec, "name", "nmt_nfkc_cf"),
            "nmt_nfkc_cf, neither identity nor nmt_nfkc",
        ),
        (
            lambda proto: setattr(proto.normalizer_spec, "precompiled_charsmap", b"\x08\0\0\0abcd"),
            "table is cut short",
        ),
        (_set_piece(3, piece="①②"), "the normaliser rewrites the user-defined symbol '①②'"),
        (_set_piece(3, piece="e"), "the normaliser rewrites the user-defined symbol 'e'"),
    ],
    ids=["casefold", "short-table", "rewritten-symbol", "beginning-symbol"],
)
def test_a_normaliser_that_cannot_be_exact_is_refused(
    tmp_path: Path, edit: Callable[[Any], object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        build_fast_tokenizer(edited(model_file("small1"), tmp_path / "tokenizer.model", edit))


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\xff" * 100, b"<html>"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"tokenizer\.model is (damaged|no SentencePiece model)"):
        build_fast_tokenizer(path)


def test_a_half_copied_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model_file("small2").read_bytes()[:-5_000])
    with pytest.raises(ValueError, match="tokenizer.model"):
        build_fast_tokenizer(path)
