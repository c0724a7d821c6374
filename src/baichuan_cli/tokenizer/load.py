"""The tokenizer of a local checkpoint, as bcli uses it: what a person writes is text, whatever it looks like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.tokenizer.rewriting import rewriter

if TYPE_CHECKING:
    from tokenizers import Tokenizer as RustTokenizer

    from baichuan_cli.vllm_plugin.sentencepiece_model import SentencePieceModel

USER_ID, ASSISTANT_ID = 195, 196  # the tokens that open a turn, in Baichuan 1 and 2 alike
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

    def __init__(
        self, core: RustTokenizer, rewrite: Callable[[str], str], model: SentencePieceModel, eos_token_id: int
    ) -> None:
        self._core = core
        # Without the offsets of each token in the text it takes half the time; tokenizers has that from 0.20 on.
        self._encode = getattr(core, "encode_batch_fast", core.encode_batch)
        self._rewrite = rewrite
        self._silent = {model.ids[piece] for piece in (model.unknown, *model.control)}
        self.eos_token_id = eos_token_id
        self.vocab_size = len(model.ids)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, with nothing added before or after it.

        Raises:
            BcliError: the text holds half of a surrogate pair, which no encoding of Unicode allows.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, as `encode` does, on all cores.

        Raises:
            BcliError: a text holds half of a surrogate pair.
        """
        rewritten = [self._rewrite(text) for text in texts]
        try:
            encodings = self._encode(rewritten, add_special_tokens=False)
        except TypeError:  # what the Rust library says of text that has no UTF-8
            for text in texts:
                _require_unicode(text)
            raise
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids; control pieces and the unknown piece have none."""
        text: str = self._core.decode([token_id for token_id in ids if token_id not in self._silent])
        return text

    def token(self, token_id: int) -> str | None:
        """Return how a token is spelled in the vocabulary; None for an id that is not in it."""
        spelling: str | None = self._core.id_to_token(token_id)
        return spelling


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer of a checkpoint folder from its `tokenizer.model`.

    Raises:
        BcliError: the file is missing, damaged, or no model that bcli can reproduce.
    """
    from baichuan_cli.vllm_plugin.fast_tokenizer import build_core
    from baichuan_cli.vllm_plugin.sentencepiece_model import read_model

    path = folder / "tokenizer.model"
    if not path.is_file():
        raise BcliError(
            f"There is no tokenizer.model in {folder}.",
            hint="Copy tokenizer.model from the model's repository into this folder.",
            exit_code=ExitCode.NOT_FOUND,
        )
    try:
        model = read_model(path)
        rewrite = rewriter(model)
        core = build_core(model, _ordinary(model))
    except ValueError as error:
        raise _unusable(str(error)) from None
    except OSError as error:
        raise _unusable(f"{path} cannot be read: {error.strerror}.") from None
    if model.end not in model.ids:
        raise _unusable(f"{path} has no piece {model.end!r} that ends an answer.")
    return Tokenizer(core, rewrite, model, model.ids[model.end])


def _ordinary(model: SentencePieceModel) -> Sequence[str]:
    """Return the user-defined symbols that a person may well mean when they write them."""
    roles = (USER_ID, ASSISTANT_ID)
    return [s for s in model.user_defined if not _RESERVED.fullmatch(s) and model.ids[s] not in roles]


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
