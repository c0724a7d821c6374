"""The Rust tokenizer that gives SentencePiece's own ids and text, built from `tokenizer.model`.

There are two manners, told from the model's normaliser. Text that is taken as it is (Baichuan 2) can be cut at
user-defined symbols first. Where text is rewritten or gets a dummy prefix (Baichuan 1), SentencePiece does so before
it looks for the symbols, so the cut comes later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import chain, groupby
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
    merges = _merges(model)
    if model.charsmap or model.dummy_prefix:
        from baichuan_cli.vllm_plugin.rewriting import cuts, normaliser

        tokenizer = Tokenizer(_bpe(model, merges, ignore_merges=True))
        tokenizer.normalizer = normaliser(model)
        tokenizer.pre_tokenizer = cuts(model, Tokenizer(_bpe(model, merges)))
    else:
        tokenizer = Tokenizer(_bpe(model, merges))
        tokenizer.add_tokens([AddedToken(symbol, normalized=False) for symbol in model.user_defined])
        tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = _decoder(model)
    special = (model.unknown, *model.control)
    tokenizer.add_special_tokens([AddedToken(piece, normalized=False, special=True) for piece in special])
    if hasattr(tokenizer, "encode_special_tokens"):
        tokenizer.encode_special_tokens = True
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


def _merges(model: SentencePieceModel) -> list[tuple[str, str]]:
    """Return every way in which two normal pieces make a third, in the order in which SentencePiece prefers them.

    SentencePiece takes the highest score first, and of equal scores the leftmost place. The Rust tokenizer ranks
    merges strictly, which is the same as long as merges of equal score never compete for a piece.
    """
    scores = model.scores
    if missing := set("".join(scores)) - model.ids.keys():
        raise ValueError(f"no exact fast tokenizer: the character {min(missing)!r} occurs in a piece but has none.")
    merges: list[tuple[str, str]] = []
    best_first = sorted(scores, key=scores.__getitem__, reverse=True)
    for _, group in groupby(best_first, key=scores.__getitem__):
        pieces = list(group)
        ways = [_ways(piece, scores) for piece in pieces]
        if len(pieces) > 1:
            _require_no_contest(pieces, ways)
        merges += chain.from_iterable(ways)
    return merges


def _ways(piece: str, scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the pairs that make a piece.

    First those whose right half begins the piece: in `ere`, `er`+`e` and `e`+`re` meet as `er` `e` `re`, and the first
    lies on the left.
    """
    ways = [
        (left, right)
        for cut in range(1, len(piece))
        if (left := piece[:cut]) in scores and (right := piece[cut:]) in scores
    ]
    if len(ways) > 1:
        ways.sort(key=lambda way: not piece.startswith(way[1]))
    return ways


def _require_no_contest(pieces: list[str], ways: list[list[tuple[str, str]]]) -> None:
    """Refuse pieces of equal score of which one ends with what another begins with, as halves of a merge."""
    begun: defaultdict[str, set[str]] = defaultdict(set)
    for piece, pairs in zip(pieces, ways, strict=True):
        for left, _ in pairs:
            begun[left].add(piece)
    for piece, pairs in zip(pieces, ways, strict=True):
        for _, right in pairs:
            if right in begun and (others := begun[right] - {piece}):
                raise ValueError(
                    f"no exact fast tokenizer: {piece!r} and {min(others)!r} have one score and compete for {right!r}."
                )
