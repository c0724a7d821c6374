"""The tokenizer of a local checkpoint, as bcli uses it: what a person writes is text, whatever it looks like.

SentencePiece itself does the work. Called for ids, it is faster on text it has not seen than the Rust tokenizer that
the plugin builds for vLLM, and it loads a Baichuan 2 model in a twentieth of the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.catalog.model import ASSISTANT_ID, USER_ID
from baichuan_cli.catalog.tokenizer_files import find_tokenizer_model
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

_RESERVED = re.compile(r"<reserved_\d+>")


class Tokenizer:
    """Turn text into token ids and back.

    The ids are SentencePiece's, except that text which spells a special token stays text: `</s>`, `<s>`, `<unk>`,
    `<reserved_106>` and the like never become a token that ends an answer or opens a turn. Other user-defined symbols,
    such as digits, punctuation and HTML tags, keep their ids.

    With Baichuan 2 `decode(encode(text))` is `text`, but for U+2581, which SentencePiece takes for a space. Baichuan 1
    rewrites text by NFKC first, save its user-defined symbols, and drops control characters: `（①）` comes back as
    `(1)`.
    """

    def __init__(self, processor: SentencePieceProcessor) -> None:
        self._processor = processor
        self.eos_token_id: int = processor.eos_id()
        self.vocab_size: int = processor.get_piece_size()

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, with nothing added before or after it.

        Raises:
            BcliError: the text holds half of a surrogate pair, which no encoding of Unicode allows.
        """
        _require_unicode(text)
        ids: list[int] = self._processor.encode(text)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, as `encode` does, on all cores.

        Raises:
            BcliError: a text holds half of a surrogate pair.
        """
        for text in texts:
            _require_unicode(text)
        ids: list[list[int]] = self._processor.encode(list(texts))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids; special tokens have none."""
        text: str = self._processor.decode(list(ids))
        return text

    def token(self, token_id: int) -> str | None:
        """Return how a token is spelled in the vocabulary; None for an id that is not in it."""
        if not 0 <= token_id < self.vocab_size:
            return None
        spelling: str = self._processor.id_to_piece(token_id)
        return spelling


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer of a checkpoint folder from its `tokenizer.model`.

    Raises:
        BcliError: the file is missing or damaged.
    """
    from sentencepiece import SentencePieceProcessor

    path = find_tokenizer_model(folder)
    try:
        processor = SentencePieceProcessor(model_proto=_with_special_text_as_text(path))
    except (ValueError, RuntimeError):  # RuntimeError: SentencePiece finds fault with what is in the file
        raise _unusable(f"{path} is damaged, or no SentencePiece model.") from None
    except OSError as error:
        raise _unusable(f"{path} cannot be read: {error.strerror}.") from None
    if processor.eos_id() < 0:
        raise _unusable(f"{path} has no piece that ends an answer.")
    return Tokenizer(processor)


def _with_special_text_as_text(path: Path) -> bytes:
    """Return the model with its role and reserved symbols turned into control pieces, which no text gives."""
    from baichuan_cli.vllm_plugin.sentencepiece_model import CONTROL, USER_DEFINED, read_proto

    proto = read_proto(path)
    for index, piece in enumerate(proto.pieces):
        special = index in (USER_ID, ASSISTANT_ID) or _RESERVED.fullmatch(piece.piece)
        if special and piece.type == USER_DEFINED:
            piece.type = CONTROL
    content: bytes = proto.SerializeToString()
    return content


def _require_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BcliError(
            f"Character {error.start + 1} of the text is U+{ord(text[error.start]):X}, half of a surrogate pair.",
            hint=r"Write characters beyond U+FFFF whole, not as one \ud… escape.",
        ) from None


def _unusable(message: str) -> BcliError:
    return BcliError(
        message,
        hint="Download tokenizer.model again from the model's repository.",
        exit_code=ExitCode.INVALID,
    )
