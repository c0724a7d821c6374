"""The states of `tokenization_baichuan.py` in the wild, told apart without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from baichuan_cli.catalog.sentencepiece_file import read_pieces
from baichuan_cli.catalog.tokenizer_files import chat_family_of, code_state, tokenizer_oddities

BASE = """        super().__init__(
            bos_token=bos_token,
            **kwargs,
        )
"""
MODEL = """        self.vocab_file = vocab_file
        self.sp_model = spm.SentencePieceProcessor(**self.sp_model_kwargs)
        self.sp_model.Load(vocab_file)
"""
COMMENTED = "".join(f"        # {line.strip()}\n" for line in BASE.splitlines())


def source(body: str, name: str = "BaichuanTokenizer") -> str:
    return (
        "import sentencepiece as spm\n\n"
        f"class {name}(PreTrainedTokenizer):\n"
        '    """Tokenize with SentencePiece \\d."""\n\n'
        "    def __init__(self, vocab_file, bos_token='<s>', sp_model_kwargs=None, **kwargs):\n"
        "        self.sp_model_kwargs = sp_model_kwargs or {}\n"
        "        bos_token = AddedToken(bos_token, lstrip=False) if isinstance(bos_token, str) else bos_token\n"
        f"{body}\n"
        "    def __getstate__(self):\n"
        "        return self.__dict__\n"
    )


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (source(BASE + MODEL), "broken"),
        (source(BASE + MODEL, "BaiChuanTokenizer"), "broken"),
        ("# Copyright\n" + source(BASE + MODEL), "broken"),
        (source(MODEL + BASE), "repaired"),
        (source(MODEL + BASE + MODEL), "repaired"),
        (source(COMMENTED + MODEL + BASE), "repaired"),
        (source(MODEL), "unrecognised"),
        (source(BASE), "unrecognised"),
        (source(BASE + MODEL, "SomeTokenizer"), "unrecognised"),
        ("def broken(:\n", "unrecognised"),
        ("x = 1\0\n", "unrecognised"),
        ("(" * 10_000, "unrecognised"),
    ],
)
def test_the_order_in_the_initialiser_decides(tmp_path: Path, content: str, state: str) -> None:
    (tmp_path / "tokenization_baichuan.py").write_text(content)
    assert code_state(tmp_path) == state


def test_no_code_is_nothing_odd(tmp_path: Path) -> None:
    assert code_state(tmp_path) == "absent"
    assert tokenizer_oddities(tmp_path) == []


def test_the_code_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "tokenization_baichuan.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\n" + source(BASE + MODEL)
    )
    assert code_state(tmp_path) == "broken"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("config", "special", "odd"),
    [(True, None, True), (False, None, False), (True, True, True), (True, False, False)],
)
def test_single_word_counts_where_transformers_reads_it(
    tmp_path: Path, config: bool, special: bool | None, odd: bool
) -> None:
    def settings(single_word: bool) -> str:
        return f'{{"eos_token": {{"content": "</s>", "single_word": {str(single_word).lower()}}}}}'

    (tmp_path / "tokenization_baichuan.py").write_text(source(MODEL + BASE))
    (tmp_path / "tokenizer_config.json").write_text(settings(config))
    if special is not None:
        (tmp_path / "special_tokens_map.json").write_text(settings(special))
    assert ["single_word" in oddity.text for oddity in tokenizer_oddities(tmp_path)] == ([True] if odd else [])


@pytest.mark.parametrize(
    ("file", "size", "family"), [("baichuan1", 64_000, "baichuan1"), ("baichuan2", 125_696, "baichuan2")]
)
def test_the_real_tokenizers(file: str, size: int, family: str) -> None:
    path = Path(__file__).parents[3] / "shared" / "tokenizers" / f"{file}.model"
    if not path.exists():
        pytest.skip("the real tokenizers are not on this machine")
    pieces = read_pieces(path)
    assert (len(pieces), pieces[:3]) == (size, ("<unk>", "<s>", "</s>"))
    assert chat_family_of(pieces) == family


def test_a_small_vocabulary_has_no_chat_family() -> None:
    assert chat_family_of(("<unk>", "<s>", "</s>")) is None
