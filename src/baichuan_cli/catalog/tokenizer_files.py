"""Looking at a checkpoint's tokenizer files: what bcli needs of them, and what in them breaks other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from baichuan_cli.catalog.json_file import read_json_if_there
from baichuan_cli.catalog.model import USER_ID, USER_TOKENS, ChatFamily
from baichuan_cli.catalog.oddity import Oddity
from baichuan_cli.catalog.sentencepiece_file import read_pieces
from baichuan_cli.catalog.special_tokens import single_words
from baichuan_cli.catalog.tokenizer_code import UnrecognisedCodeError, find_initialiser, parse_code
from baichuan_cli.catalog.weight_files import check_is_content
from baichuan_cli.errors import BcliError, ExitCode

CodeState = Literal["absent", "broken", "repaired", "unrecognised"]

_FAMILY_OF_USER_TOKEN = {token: family for family, token in USER_TOKENS.items()}


def find_tokenizer_model(folder: Path) -> Path:
    """Return the path of a checkpoint's `tokenizer.model`.

    Raises:
        BcliError: there is no such file.
    """
    path = folder / "tokenizer.model"
    if not path.is_file():
        raise BcliError(
            f"There is no tokenizer.model in {folder}.",
            hint="Copy tokenizer.model from the model's repository into this folder.",
            exit_code=ExitCode.NOT_FOUND,
        )
    return path


def read_tokenizer_model(folder: Path) -> tuple[str, ...]:
    """Return the pieces of `tokenizer.model`, in the order of their ids.

    Raises:
        BcliError: the file is missing, a placeholder, cut short or no SentencePiece model.
    """
    path = find_tokenizer_model(folder)
    check_is_content(path)
    return read_pieces(path)


def chat_family_of(pieces: tuple[str, ...]) -> ChatFamily | None:
    """Tell the chat family by how the token that opens a user's turn is spelled."""
    return _FAMILY_OF_USER_TOKEN.get(pieces[USER_ID]) if len(pieces) > USER_ID else None


def code_state(folder: Path) -> CodeState:
    """Tell whether `tokenization_baichuan.py` sets up SentencePiece before it calls its base class.

    transformers from 4.34 on asks for the vocabulary inside `super().__init__`, so the order decides whether the file
    works. The file is parsed, never executed.
    """
    path = folder / "tokenization_baichuan.py"
    if not path.exists():
        return "absent"
    try:
        return "broken" if find_initialiser(parse_code(path.read_bytes())).broken else "repaired"
    except UnrecognisedCodeError:
        return "unrecognised"


def tokenizer_oddities(folder: Path) -> list[Oddity]:
    """Return what is unusual about the tokenizer's code and settings."""
    found = []
    state = code_state(folder)
    if state == "broken":
        found.append(
            Oddity(
                "note",
                "tokenization_baichuan.py calls super().__init__ before it loads SentencePiece: "
                "transformers 4.34 and later fail on it ('sp_model', 'vocab_size').",
                "Nothing for bcli, which never runs this file. "
                f"For other programs repair it: bcli patch-tokenizer {folder}",
            )
        )
    elif state == "unrecognised":
        found.append(
            Oddity(
                "note",
                "tokenization_baichuan.py is not the file that Baichuan published.",
                "Nothing for bcli, which never runs this file. Read it before you allow another program to.",
            )
        )
    config = read_json_if_there(folder / "tokenizer_config.json")
    if single_words(config, read_json_if_there(folder / "special_tokens_map.json")):
        found.append(
            Oddity(
                "note",
                'The special tokens have "single_word": true, so transformers 4.34 to 4.57 '
                "does not see a </s> that follows Chinese text.",
                "Nothing for bcli, whose own tokenizer is not affected. "
                f"For other programs set it to false: bcli patch-tokenizer {folder}",
            )
        )
    return found
