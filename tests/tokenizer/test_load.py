"""What bcli makes of a person's text: SentencePiece's ids, and never a special token."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.tokenizer.load import Tokenizer, load_tokenizer
from reference.sentencepiece_models import PUBLISHED, SMALL, edited, golden, model_file
from reference.varied_text import varied_texts

Load = Callable[[str], Tokenizer]
every_model = pytest.mark.parametrize("name", [*SMALL, *PUBLISHED])
SPECIAL = re.compile(r"<s>|</s>|<unk>|<reserved_\d+>")


@cache
def forbidden(name: str) -> dict[str, int]:
    """Return the spelling and the id of every token that no text may become."""
    slow = sentencepiece.SentencePieceProcessor(model_file=str(model_file(name)))
    pieces = ((slow.id_to_piece(index), index) for index in range(slow.get_piece_size()))
    return {piece: index for piece, index in pieces if SPECIAL.fullmatch(piece)}


@every_model
def test_ordinary_text_gets_sentencepieces_ids(name: str, load: Load) -> None:
    slow = sentencepiece.SentencePieceProcessor(model_file=str(model_file(name)))
    pieces = [slow.id_to_piece(index) for index in range(slow.get_piece_size())]
    texts = [text for text in varied_texts(pieces, seed=4, count=12_000) if not SPECIAL.search(text)]
    assert len(texts) > 9_000
    expected, encoded = slow.encode(texts), load(name).encode_batch(texts)
    assert [case for case in zip(texts, expected, encoded, strict=True) if case[1] != case[2]] == []
    decoded = [load(name).decode(ids) for ids in expected]
    assert decoded == slow.decode(expected)


@every_model
def test_special_text_stays_text(name: str, load: Load) -> None:
    tokens = forbidden(name)
    assert len(tokens) > 100
    for piece in tokens:
        for text in (piece, f"你{piece}好", f"1{piece}1", f"<br>{piece}<br>", piece * 2, f"{piece} "):
            ids = load(name).encode(text)
            assert not set(ids) & set(tokens.values())
            assert load(name).decode(ids) == text


@every_model
@settings(deadline=None)  # the first example loads the model
@given(
    parts=st.lists(
        st.sampled_from(["</s>", "<s>", "<reserved_", "1", "0", "6", ">", "<", "/", "<br>", "\n", "。", " "])
    )
)
def test_no_mixture_makes_a_special_token(name: str, load: Load, parts: list[str]) -> None:
    assert not set(load(name).encode("".join(parts))) & set(forbidden(name).values())


@pytest.mark.parametrize("name", ["small2", "baichuan2"])
@settings(deadline=None)  # the first example loads the model
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581")) | st.from_regex(SPECIAL))
def test_baichuan_2_gives_every_text_back(name: str, load: Load, text: str) -> None:
    assert load(name).decode(load(name).encode(text)) == text


@pytest.mark.parametrize("name", ["small1", "baichuan1"])
@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("（测试）；①", "(测试);1"),
        ("™", "TM"),
        ("a\u3000b", "a b"),
        ("，！？：５\n\t", "，！？：５\n\t"),
        (" a", " a"),
        ("a\x07b", "ab"),
    ],
)
def test_baichuan_1_rewrites_some_text(name: str, load: Load, text: str, back: str) -> None:
    assert load(name).decode(load(name).encode(text)) == back


@pytest.mark.parametrize("name", PUBLISHED)
def test_ids_that_others_published(name: str, load: Load) -> None:
    for text, ids in golden(name):
        assert load(name).encode(text) == ids
        assert load(name).decode(ids) == text


@every_model
def test_symbols_keep_their_ids(name: str, load: Load) -> None:
    ids = load(name).encode("\n０，。</h1>")
    assert [load(name).token(index) for index in ids if load(name).token(index) != "\u2581"] == [
        "\n",
        "０",
        "，",
        "。",
        "</h1>",
    ]


@every_model
def test_what_ends_an_answer_has_no_text(name: str, load: Load) -> None:
    tokenizer = load(name)
    assert tokenizer.eos_token_id == 2
    assert tokenizer.decode([*tokenizer.encode("你好"), 2]) == "你好"
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""
    assert tokenizer.token(tokenizer.vocab_size - 1) is not None
    assert tokenizer.token(tokenizer.vocab_size) is None


@every_model
def test_half_a_surrogate_pair_is_named(name: str, load: Load) -> None:
    with pytest.raises(BcliError, match=r"Character 3 of the text is U\+D83D, half of a surrogate pair\."):
        load(name).encode_batch(["fine", "ab\ud83d"])


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(BcliError, match=r"There is no tokenizer\.model in") as caught:
        load_tokenizer(tmp_path)
    assert caught.value.exit_code == ExitCode.NOT_FOUND
    assert "Copy tokenizer.model" in caught.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:4be5\n", b"\xff" * 99]
)
def test_a_damaged_model_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(BcliError, match=r"tokenizer\.model is damaged, or no SentencePiece model\.") as caught:
        load_tokenizer(tmp_path)
    assert caught.value.exit_code == ExitCode.INVALID
    assert "Download tokenizer.model again" in caught.value.hint


def test_a_model_without_an_end_is_named(tmp_path: Path) -> None:
    edited(
        model_file("small2"),
        tmp_path / "tokenizer.model",
        lambda proto: setattr(proto.trainer_spec, "eos_piece", "<end>"),
    )
    with pytest.raises(BcliError, match="no piece that ends an answer"):
        load_tokenizer(tmp_path)
