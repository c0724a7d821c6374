"""The conversations of the past: one file each, named by when it began."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from baichuan_cli import paths
from baichuan_cli.chat.conversation import Conversation
from baichuan_cli.chat.transcript import SUFFIX, read_conversation
from baichuan_cli.errors import BcliError, ExitCode

_NAME = re.compile(r"\d{8}(-\d{0,6}(-\d*)?)?")


@dataclass(frozen=True, slots=True)
class Kept:
    """A conversation of the past."""

    path: Path
    used: float  # when something happened in it last, in seconds since the epoch
    conversation: Conversation | None  # None: the file cannot be read

    @property
    def name(self) -> str:
        """Return what it is resumed by."""
        return self.path.stem


def chats_dir() -> Path:
    """Return the folder of all conversations."""
    return paths.data_dir() / "chats"


def looks_like_name(text: str) -> bool:
    """Tell whether a text is the name of a conversation, or the beginning of one, and not that of a model."""
    return _NAME.fullmatch(text) is not None


def names(folder: Path) -> list[str]:
    """Return the names of all conversations, the one that was used last at the end."""
    return [path.stem for path in _files(folder)]


def conversations(folder: Path, *, besides: Path | None = None) -> Iterator[Kept]:
    """Yield all conversations, the one that was used last at the end.

    Args:
        besides: a file that is left out: closing a file that this process holds open would give up its lock.
    """
    for path in _files(folder):
        if path == besides:
            continue
        yield Kept(path, path.stat().st_mtime, _read(path))


def find(folder: Path, name: str) -> Path:
    """Return the file of a conversation by its name, or by the beginning of it where only one begins so.

    Raises:
        BcliError: there is none, or there are several.
    """
    found = [path for path in _files(folder) if path.stem.startswith(name)]
    exact = [path for path in found if path.stem == name]
    if len(found) == 1 or exact:
        return (exact or found)[0]
    if found:
        raise BcliError(
            f"{len(found)} conversations begin with {name}: {', '.join(path.stem for path in found[-3:])}"
            + (" …" if len(found) > 3 else "."),
            hint="Give more of the name.",
            exit_code=ExitCode.NOT_FOUND,
        )
    raise BcliError(
        f"There is no conversation {name}.", hint="All of them: bcli chat --list", exit_code=ExitCode.NOT_FOUND
    )


def latest(folder: Path, model: str | None = None) -> Path:
    """Return the file of the conversation that was used last, with a model or with any.

    Raises:
        BcliError: there is none.
    """
    for path in reversed(_files(folder)):
        if model is None or ((kept := _read(path)) and kept.model == model):
            return path
    whose = f" with {model}" if model else ""
    raise BcliError(
        f"There is no conversation{whose} to resume.",
        hint=f"Begin one: bcli chat{f' {model}' if model else ''}",
        exit_code=ExitCode.NOT_FOUND,
    )


def _read(path: Path) -> Conversation | None:
    try:
        return read_conversation(path, path.read_bytes())
    except (BcliError, OSError):
        return None


def _files(folder: Path) -> list[Path]:
    # A process that was killed before its first write leaves an empty file.
    found = [(path.stat(), path) for path in folder.glob(f"*{SUFFIX}")]
    return [path for _, path in sorted((stat.st_mtime, path) for stat, path in found if stat.st_size)]
