"""A SentencePiece `tokenizer.model` as read from its file: the pieces, their scores, and how text is normalised.

The file is parsed with the protobuf message that the sentencepiece package ships. vLLM 0.25 and later require both
sentencepiece and protobuf; the images of vLLM 0.5.0 have sentencepiece 0.2.0, whose message works with protobuf from
3.20 to 7. `SentencePieceProcessor` itself is no substitute: it does not tell user-defined pieces from others, and
keeps the normaliser to itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

NORMAL, _UNKNOWN, CONTROL, USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
_BPE = 2
_MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
SPACE = "\u2581"  # stands for a space inside pieces


@dataclass(frozen=True)
class SentencePieceModel:
    """A byte-pair model whose behaviour the Rust tokenizer can reproduce exactly.

    Attributes:
        ids: the id of each piece.
        scores: the score of each normal piece; merges are tried from the highest score down.
        user_defined: symbols that SentencePiece finds in text before any merge, and never normalises.
        control: pieces that no text produces, such as `</s>`.
        unknown: the piece for what cannot be encoded.
        byte_fallback: whether a character without a piece becomes its UTF-8 bytes.
        dummy_prefix: whether a space is put in front of every text.
        charsmap: the compiled rules of the nmt_nfkc normaliser; empty when text is taken as it is.
    """

    ids: dict[str, int]
    scores: dict[str, float]
    user_defined: tuple[str, ...]
    control: tuple[str, ...]
    unknown: str
    byte_fallback: bool
    dummy_prefix: bool
    charsmap: bytes


def read_proto(model_file: Path) -> Any:
    """Read a `tokenizer.model` as SentencePiece's `ModelProto`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or no SentencePiece model.
    """
    from google.protobuf.message import DecodeError
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    proto = ModelProto()
    try:
        proto.ParseFromString(model_file.read_bytes())
    except DecodeError:
        raise ValueError(f"{model_file} is damaged, or no SentencePiece model.") from None
    if not proto.pieces:
        raise ValueError(f"{model_file} is no SentencePiece model: it has no pieces.")
    return proto


def read_model(model_file: Path) -> SentencePieceModel:
    """Read a `tokenizer.model`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no SentencePiece model, or one that the Rust tokenizer cannot reproduce exactly.
    """
    proto = read_proto(model_file)
    if reason := _obstacle(proto):
        raise ValueError(f"{model_file} has no exact fast tokenizer: {reason}.")
    pieces = [(piece.piece, piece.type, piece.score) for piece in proto.pieces]
    by_type: dict[int, tuple[str, ...]] = {
        kind: tuple(text for text, type_, _ in pieces if type_ == kind) for kind in (_UNKNOWN, CONTROL, USER_DEFINED)
    }
    return SentencePieceModel(
        ids={text: index for index, (text, _, _) in enumerate(pieces)},
        scores={text: score for text, type_, score in pieces if type_ == NORMAL},
        user_defined=by_type[USER_DEFINED],
        control=by_type[CONTROL],
        unknown=by_type[_UNKNOWN][0],
        byte_fallback=proto.trainer_spec.byte_fallback,
        dummy_prefix=proto.normalizer_spec.add_dummy_prefix,
        charsmap=proto.normalizer_spec.precompiled_charsmap,
    )


def _obstacle(proto: Any) -> str:
    """Return why the Rust tokenizer cannot do what this model does, or an empty string."""
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    types = [piece.type for piece in proto.pieces]
    symbols = [piece.piece for piece in proto.pieces if piece.type == USER_DEFINED]
    if trainer.model_type != _BPE:
        return f"its type is {_MODEL_TYPES.get(trainer.model_type, 'unknown')}, not bpe"
    if normalizer.precompiled_charsmap and normalizer.name != "nmt_nfkc":
        return f"its normaliser is {normalizer.name}, neither identity nor nmt_nfkc"
    if normalizer.remove_extra_whitespaces:
        return "it removes extra white space (remove_extra_whitespaces)"
    if not normalizer.escape_whitespaces or trainer.treat_whitespace_as_suffix:
        return "it does not write spaces as a prefix of pieces"
    if proto.denormalizer_spec.precompiled_charsmap:
        return "it rewrites decoded text (denormalizer_spec)"
    if types.count(_UNKNOWN) != 1 or _UNUSED in types:
        return "it has unused pieces, or not exactly one unknown piece"
    if trainer.byte_fallback and types.count(_BYTE) != 256:
        return "it falls back to bytes but lacks some of the 256 byte pieces"
    if spaced := [symbol for symbol in symbols if SPACE in symbol or " " in symbol]:
        return f"its user-defined symbol {spaced[0]!r} holds a space"
    return ""
