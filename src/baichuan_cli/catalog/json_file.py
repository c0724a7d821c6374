"""Reading a checkpoint's small JSON files, so that a damaged one is named and never shows a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from baichuan_cli.errors import BcliError, ExitCode


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        BcliError: the file is empty, is no JSON or is no object.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"is damaged: {_reason(error)}") from None
    if not isinstance(content, dict):
        raise damaged(path, "is damaged: it holds no JSON object")
    return content


def read_json_if_there(path: Path) -> dict[str, Any]:
    """Read a JSON object as `read_json` does; an absent file reads as an empty one."""
    return read_json(path) if path.is_file() else {}


def damaged(path: Path, what: str) -> BcliError:
    """Return the error for a file of a checkpoint that cannot be used."""
    return BcliError(
        f"{path.name} {what}.",
        hint=f"Download it again: {path}",
        exit_code=ExitCode.INVALID,
    )


def _reason(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError():
            return f"{error.msg} in line {error.lineno}"
        case UnicodeDecodeError():
            return f"not UTF-8 at byte {error.start}"
        case _:
            return "it makes no sense as JSON"
