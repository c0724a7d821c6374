"""Where prompts come from: options, a file, standard input, or a batch file. All are read before a model loads."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from baichuan_cli.batch.item import Batch


_HOW = "bcli generate 床前明月光\necho 床前明月光 | bcli generate"


def read_prompts(prompts: Sequence[str], prompt_file: Path | None, input_path: Path | None) -> Batch:
    """Return what shall be answered.

    Raises:
        BcliError: there is nothing to answer, too many sources at once, or a file that cannot be read.
    """
    from baichuan_cli.batch.item import Batch, BatchItem
    from baichuan_cli.batch.prompts import read_batch

    if sum((bool(prompts), prompt_file is not None, input_path is not None)) > 1:
        raise BcliError("Prompts come from one place.", hint="Give --prompt, --prompt-file or --input, not several.")
    if input_path is not None:
        return read_batch(input_path)
    texts = prompts or [_read(prompt_file) if prompt_file else standard_input(_HOW)]
    for number, text in enumerate(texts, start=1):
        if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
            raise BcliError(
                f"Prompt {number} is not text in UTF-8.",
                hint="Set the terminal or the script to UTF-8, or give a file: --prompt-file FILE",
            )
        if not text:
            raise BcliError(
                f"Prompt {number} is empty." if len(texts) > 1 else "The prompt is empty.",
                hint="A model continues what it is given: bcli generate --prompt 床前明月光",
            )
    items = tuple(
        BatchItem(
            line=number,
            custom_id=f"prompt-{number}",
            prompt=text,
            messages=None,
            sampling={},
            endpoint=None,
            model=None,
        )
        for number, text in enumerate(texts, start=1)
    )
    return Batch(items, bad_lines=())


def standard_input(hint: str) -> str:
    """Return what was piped in, without the newline at its end.

    Args:
        hint: what to do where nothing was.

    Raises:
        BcliError: nothing was, or it is not text in UTF-8.
    """
    text = "" if sys.stdin.isatty() else _decode(sys.stdin.buffer.read(), "Standard input", "FILE")
    if not text:
        raise BcliError("There is no prompt.", hint=hint)
    return text


def _read(path: Path) -> str:
    if path.is_dir():
        raise BcliError(f"{path} is a folder, not a file.", hint="Give a file that is one prompt.")
    return _decode(path.read_bytes(), str(path), str(path))


def _decode(data: bytes, name: str, file: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BcliError(
            f"{name} is not text in UTF-8: byte {data[error.start]:#04x} at position {error.start}.",
            hint=f"Convert it first: iconv -f GB18030 -t UTF-8 {file}",
        ) from None
    # Editors and echo end a file with a newline that is no part of the prompt.
    return text.removesuffix("\n").removesuffix("\r")
