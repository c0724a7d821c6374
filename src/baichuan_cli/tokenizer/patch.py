"""What a checkpoint's tokenizer files need before other programs can load them: worked out here, written elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baichuan_cli.catalog.json_file import damaged, read_json_if_there
from baichuan_cli.catalog.special_tokens import JsonPath, single_words, special_tokens
from baichuan_cli.catalog.tokenizer_code import UnrecognisedCodeError
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.tokenizer.code_repair import repair_code
from baichuan_cli.tokenizer.fast_files import fast_settings, fast_tokenizer_json
from baichuan_cli.tokenizer.json_edit import edit_json

CODE = "tokenization_baichuan.py"
CONFIG = "tokenizer_config.json"
TOKEN_MAP = "special_tokens_map.json"
FAST = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class Edit:
    """One file that changes.

    Attributes:
        name: the file's name in the checkpoint's folder.
        before: its bytes; None for a file that is not there.
        after: its new bytes.
        what: what changes in it, for people.
    """

    name: str
    before: bytes | None
    after: bytes
    what: str


@dataclass(frozen=True, slots=True)
class Patch:
    """What a checkpoint needs.

    Attributes:
        folder: the checkpoint.
        edits: the files to change.
        unrecognised: why `tokenization_baichuan.py` is left alone, as the end of a sentence about it; or empty.
    """

    folder: Path
    edits: tuple[Edit, ...]
    unrecognised: str = ""


def plan_patch(folder: Path, *, fast: bool = False) -> Patch:
    """Work out what a checkpoint's tokenizer files need. Nothing is written, and nothing in the folder is executed.

    Args:
        folder: the checkpoint.
        fast: also write a `tokenizer.json`, and the settings by which it is loaded without remote code.

    Raises:
        BcliError: the folder holds no tokenizer, a file is damaged, or there can be no exact `tokenizer.json`.
    """
    if not any((folder / name).exists() for name in (CODE, CONFIG, "tokenizer.model")):
        raise BcliError(
            f"There is no tokenizer in {folder.absolute()}.",
            hint=f"Give a folder with tokenizer.model and {CODE} in it.",
            exit_code=ExitCode.NOT_FOUND,
        )
    edits, unrecognised = _code_edits(folder / CODE)
    edits += _settings_edits(folder, fast)
    if fast:
        edits += _fast_edits(folder)
    return Patch(folder, tuple(edits), unrecognised)


def _code_edits(path: Path) -> tuple[list[Edit], str]:
    if not path.exists():
        return [], ""
    before = path.read_bytes()
    try:
        after = repair_code(before)
    except UnrecognisedCodeError as error:
        return [], str(error)
    what = "super().__init__() moved to the end of __init__"
    return ([Edit(CODE, before, after, what)] if after != before else []), ""


def _settings_edits(folder: Path, fast: bool) -> Iterator[Edit]:
    config, token_map = read_json_if_there(folder / CONFIG), read_json_if_there(folder / TOKEN_MAP)
    words = single_words(config, token_map)
    for name, settings in ((CONFIG, config), (TOKEN_MAP, token_map)):
        changes = _token_changes(settings, words, fast)
        said = ['"single_word" set to false'] if any(path[-1] == "single_word" for path in changes) else []
        if fast and name == CONFIG and (loading := fast_settings(config)):
            changes |= loading
            said.append("made to load tokenizer.json, without remote code")
        if changes:
            path = folder / name
            before = path.read_bytes() if path.exists() else None
            what = "; ".join(said) or '"normalized" set to false'
            yield Edit(name, before, _edited(path, before or b"{}\n", changes), what)


def _token_changes(settings: Mapping[str, Any], words: frozenset[str], fast: bool) -> dict[JsonPath, Any]:
    """Return the flags of special tokens to set to false.

    Beside a `tokenizer.json`, transformers 4 adds a special token anew where its flags are not those of that file.
    """
    flags = ("single_word", "normalized") if fast else ("single_word",)
    return {
        (*path, flag): False
        for path, token in special_tokens(settings)
        if fast or token.get("content") in words
        for flag in flags
        if token.get(flag) is True
    }


def _edited(path: Path, before: bytes, changes: Mapping[JsonPath, Any]) -> bytes:
    try:
        return edit_json(before, changes)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"cannot be edited: {error}") from None


def _fast_edits(folder: Path) -> Iterator[Edit]:
    path = folder / FAST
    before, after = (path.read_bytes() if path.exists() else None), fast_tokenizer_json(folder)
    if before != after:
        yield Edit(FAST, before, after, "written: SentencePiece's own ids, without remote code")
