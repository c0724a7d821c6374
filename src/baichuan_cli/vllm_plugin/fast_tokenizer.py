"""The Rust tokenizer that gives SentencePiece's own ids and text, built from `tokenizer.model`.

There are two manners, told from the model's normaliser. Text that is taken as it is (Baichuan 2) can be cut at
user-defined symbols first. Where text is rewritten or gets a dummy prefix (Baichuan 1), SentencePiece does so before
it looks for the symbols, so the cut comes later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli.vllm_plugin.sentencepiece_model import SPACE, SentencePieceModel, read_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def build_fast_tokenizer(model_file: Path) -> Tokenizer:
    """Build the tokenizer of a `tokenizer.model`.

    `encode` gives SentencePiece's ids: a user-defined symbol in a text becomes its id, a control piece such as `</s>`
    does not (tokenizers before 0.20 has no way to leave it alone). `decode` gives SentencePiece's text.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no SentencePiece model, or one that the Rust tokenizer cannot reproduce exactly.
    """
    from tokenizers import AddedToken, Tokenizer, normalizers

    model = read_model(model_file)
    if model.charsmap or model.dummy_prefix:
        from baichuan_cli.vllm_plugin.rewriting import cuts, normaliser

        merges = list(_merges(model))
        tokenizer = Tokenizer(_bpe(model, merges, ignore_merges=True))
        tokenizer.normalizer = normaliser(model)
        tokenizer.pre_tokenizer = cuts(model, Tokenizer(_bpe(model, merges)))
        tokenizer.decoder = _decoder(model)
    else:
        tokenizer = build_core(model, model.user_defined)
        tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    special = (model.unknown, *model.control)
    tokenizer.add_special_tokens([AddedToken(piece, normalized=False, special=True) for piece in special])
    if hasattr(tokenizer, "encode_special_tokens"):
        tokenizer.encode_special_tokens = True
    return tokenizer


def build_core(model: SentencePieceModel, symbols: Sequence[str]) -> Tokenizer:
    """Build a tokenizer for text that is rewritten already, spaces as U+2581, that finds only the given symbols in it.

    No piece is registered as special: no text gives a control piece, and `decode` writes one out.

    Raises:
        ValueError: the Rust tokenizer cannot reproduce this model exactly.
    """
    from tokenizers import AddedToken, Tokenizer

    tokenizer = Tokenizer(_bpe(model, list(_merges(model))))
    tokenizer.add_tokens([AddedToken(symbol, normalized=False) for symbol in symbols])
    tokenizer.decoder = _decoder(model)
    return tokenizer


def _decoder(model: SentencePieceModel) -> Any:
    from tokenizers import decoders

    steps: list[Any] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if model.dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    return decoders.Sequence(steps)


def _bpe(model: SentencePieceModel, merges: list[tuple[str, str]], ignore_merges: bool = False) -> Any:
    from tokenizers.models import BPE

    return BPE(
        vocab=model.ids,
        merges=merges,
        unk_token=model.unknown,
        fuse_unk=True,
        byte_fallback=model.byte_fallback,
        ignore_merges=ignore_merges,
    )


def _merges(model: SentencePieceModel) -> Iterator[tuple[str, str]]:
    """Yield every way in which two normal pieces make a third, in the order in which SentencePiece prefers them.

    SentencePiece takes the highest score first, and of equal scores the leftmost place. The Rust tokenizer ranks
    merges strictly, so merges of equal score must not compete for a piece: in `ere`, `er`+`e` and `e`+`re` can meet
    as `er` `e` `re`, where the merge whose right half begins the piece lies on the left.
    """
    scores = model.scores
    _require_characters(model)
    ranked = [
        (-score, not piece.startswith(piece[cut:]), model.ids[piece], cut, piece)
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    ranked.sort()
    _require_no_contest(model, [(piece[:cut], piece[cut:]) for *_, cut, piece in ranked])
    for *_, cut, piece in ranked:
        yield piece[:cut], piece[cut:]


def _require_characters(model: SentencePieceModel) -> None:
    """Refuse a piece with a character that has no piece: the Rust tokenizer would never reach it."""
    characters = set("".join(model.scores))
    if missing := characters - model.ids.keys():
        raise ValueError(f"no exact fast tokenizer: the character {min(missing)!r} occurs in a piece but has none.")


def _require_no_contest(model: SentencePieceModel, merges: Iterable[tuple[str, str]]) -> None:
    """Refuse pieces of equal score of which one's left half is the other's right half."""
    often = {score for score, count in Counter(model.scores.values()).items() if count > 1}
    by_left: dict[tuple[float, str], set[str]] = {}
    tied = [(model.scores[left + right], left, right) for left, right in merges]
    tied = [merge for merge in tied if merge[0] in often]
    for score, left, right in tied:
        by_left.setdefault((score, left), set()).add(left + right)
    for score, left, right in tied:
        if others := by_left.get((score, right), set()) - {left + right}:
            raise ValueError(
                f"no exact fast tokenizer: {left + right!r} and {min(others)!r} share a score and a part ({right!r})."
            )
