"""Train the demos' SentencePiece model, laid out as Baichuan 2 lays out its own.

BPE with byte fallback, no normalisation, no dummy prefix; unk, bos, eos at 0, 1, 2; newline 5, tab 6; the role tokens
`<reserved_106>` and `<reserved_107>` at 195 and 196. Every Chinese character is a piece of its own.
"""

from __future__ import annotations

import io
import string
from collections.abc import Iterable

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from .tokenizer_ids import VOCAB_SIZE

# SentencePiece's list of symbols cannot carry these two, so they are put in afterwards.
_CONTROL = {"<LF>": "\n", "<TAB>": "\t"}
_FULL_WIDTH = "０１２３４５６７８９．＝＜＞－＋／＊＃＆"
_CHINESE_MARKS = "，。！？；：、・·“”‘’《》〈〉「」『』【】（）—…～￥％"
_SYMBOLS = (
    "<SEP>",
    "<CLS>",
    *_CONTROL,
    *_FULL_WIDTH,
    *_CHINESE_MARKS,
    *string.punctuation,
    *(f"<reserved_{number}>" for number in range(108)),
)


def train_tokenizer(chinese: Iterable[str], english: Iterable[str]) -> bytes:
    """Return the serialised model; it depends on the texts alone.

    Args:
        chinese: texts whose characters all become pieces.
        english: sentences whose words fill the rest of the vocabulary.
    """
    letters = set(string.ascii_letters + string.digits)
    # One character a line: with no neighbours there is nothing to merge, and every character stays a piece.
    characters = sorted(set("".join(chinese)) | letters)
    lines = [character for character in characters if not character.isspace()]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*lines, *english]),
        model_writer=model,
        model_type="bpe",
        vocab_size=VOCAB_SIZE,
        character_coverage=1.0,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        user_defined_symbols=list(_SYMBOLS),
        num_threads=1,
        minloglevel=2,
    )
    return _with_control_characters(model.getvalue())


def _with_control_characters(model: bytes) -> bytes:
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model)
    for piece in proto.pieces:
        piece.piece = _CONTROL.get(piece.piece, piece.piece)
    data: bytes = proto.SerializeToString()
    return data
