"""Which names a model may have in the store, and which paths a file may have inside a model."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from baichuan_cli.errors import BcliError

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")  # the Hugging Face hub's own limit for a repository's name


def is_store_name(name: str) -> bool:
    """Tell whether a name can be a folder of the store: one part, not hidden, the same on every file system."""
    return _NAME.fullmatch(name) is not None and not name.endswith(".")


def check_store_name(name: str) -> str:
    """Return a name as the store spells it, in lower case.

    Raises:
        BcliError: the name could lead out of the store, or is spelt in a way that not every file system takes.
    """
    if not is_store_name(name):
        raise BcliError(
            f"{name!r} cannot be the name of a model.",
            hint="A name has letters, digits, dots, dashes and underscores, starts with a letter or a digit, "
            "and is at most 96 long.",
        )
    return name.lower()


def is_repository(name: str) -> bool:
    """Tell whether a name is one of a hub's repository: an owner and a name, such as "org/name"."""
    return _REPOSITORY.fullmatch(name) is not None


def store_name(repository: str) -> str:
    """Return what the store calls a repository that the catalogue does not know; its owner keeps it apart from others.

    >>> store_name("Org/Name")
    'org--name'
    """
    return repository.replace("/", "--").lower()


def repository_name(name: str) -> str | None:
    """Return the repository that a store's name stands for, in lower case; None where it stands for none.

    The hub allows no "--" in an owner's or a repository's name.
    """
    repository = name.replace("--", "/", 1)
    return repository if is_repository(repository) else None


def is_text(path: str) -> bool:
    """Tell whether a path is text in UTF-8, which a record can hold; names from old archives can be in GBK."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def is_inside(path: str) -> bool:
    """Tell whether a file's path within a repository stays within it, on every system: `a/b`, never `/a`, `../a`."""
    parts = PurePosixPath(path).parts
    return (
        str(PurePosixPath(path)) == path
        and bool(parts)
        and not path.startswith("/")
        and ".." not in parts
        and not any(character == "\\" or character < " " for character in path)
    )
