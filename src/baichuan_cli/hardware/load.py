"""Find a profile by name or path, fold in what it extends, and check it.

load_profile("k100-ai", user_dir=user_profiles_dir())
load_profile("./my-card.yaml", user_dir=user_profiles_dir())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hardware.files import ProfileFile, looks_like_path, profile_files, shipped_files
from baichuan_cli.hardware.merge import extend
from baichuan_cli.paths import expand_home
from baichuan_cli.similar import did_you_mean, similar

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from baichuan_cli.hardware.profile import Profile

_SEE_ALL = "See them all: bcli profiles list"
_SEE_ONE = "A working example: bcli profiles show cuda --source"


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    """One line of the list of profiles."""

    file: ProfileFile
    title: str
    problem: str = ""  # why it cannot be used; empty when it can


def load_profile(name_or_path: str, *, user_dir: Path) -> Profile:
    """Return a profile with everything that it extends.

    Args:
        name_or_path: a profile's name, or a file: anything with a slash or ending in `.yaml`.
        user_dir: the folder of the person's own profile files; it need not exist.

    Raises:
        BcliError: there is no such profile (NOT_FOUND), or it makes no sense (INVALID).
    """
    return load_file(find_profile(name_or_path, user_dir=user_dir), user_dir=user_dir)


def find_profile(name_or_path: str, *, user_dir: Path) -> ProfileFile:
    """Return the file that a name or a path means; a path is not looked at yet.

    Raises:
        BcliError: no profile has this name.
    """
    if looks_like_path(name_or_path):
        path = expand_home(name_or_path)
        return ProfileFile(path.stem, path, "file")
    files = profile_files(user_dir)
    try:
        return files[name_or_path]
    except KeyError:
        raise BcliError(
            f"There is no profile {name_or_path!r}.", hint=_nearest(name_or_path, files), exit_code=ExitCode.NOT_FOUND
        ) from None


def load_file(file: ProfileFile, *, user_dir: Path) -> Profile:
    """Return the profile of one file with everything that it extends; errors as `load_profile`'s."""
    from pydantic import ValidationError

    from baichuan_cli.hardware.profile import Profile

    sources = [data for _, data in _with_ancestors(file, user_dir)]
    merged = reduce(extend, reversed(sources))
    merged.pop("extends", None)
    try:
        return Profile.model_validate({**merged, "name": file.name})
    except ValidationError as error:
        problems = "\n".join(dict.fromkeys(f"  {_complaint(each)}" for each in error.errors()))
        raise BcliError(
            f"{file.path}: the profile makes no sense.\n{problems}", hint=_SEE_ONE, exit_code=ExitCode.INVALID
        ) from None


def ancestors(file: ProfileFile, *, user_dir: Path) -> tuple[ProfileFile, ...]:
    """Return what a profile extends, nearest first; errors as `load_profile`'s."""
    return tuple(ancestor for ancestor, _ in _with_ancestors(file, user_dir)[1:])


def list_profiles(user_dir: Path) -> tuple[ProfileEntry, ...]:
    """Return every profile that has a name; one that cannot be loaded is listed with the reason."""
    return tuple(_entry(file, user_dir) for file in profile_files(user_dir).values())


def _entry(file: ProfileFile, user_dir: Path) -> ProfileEntry:
    try:
        return ProfileEntry(file, load_file(file, user_dir=user_dir).title)
    except BcliError as error:
        return ProfileEntry(file, title="", problem=error.message)
    except OSError as error:
        return ProfileEntry(file, title="", problem=f"{file.path}: {error.strerror}.")


def _with_ancestors(file: ProfileFile, user_dir: Path) -> Sequence[tuple[ProfileFile, Mapping[str, Any]]]:
    from baichuan_cli.yaml_file import read_mapping

    chain: list[tuple[ProfileFile, Mapping[str, Any]]] = []
    current: ProfileFile | None = file
    while current is not None:
        if any(current.path == seen.path for seen, _ in chain):
            names = " → ".join(each.name for each in (*(seen for seen, _ in chain), current))
            raise BcliError(
                f"The profiles extend each other in a circle: {names}.",
                hint=f"Take 'extends' out of {current.path}.",
                exit_code=ExitCode.INVALID,
            )
        data = read_mapping(current.path)
        if not data:
            raise BcliError(f"{current.path}: the file is empty.", hint=_SEE_ONE, exit_code=ExitCode.INVALID)
        if "name" in data:
            raise BcliError(
                f"{current.path}: name: a profile's name is the file's name, here {current.name!r}.",
                hint="Take the line out, and rename the file if you want another name.",
                exit_code=ExitCode.INVALID,
            )
        chain.append((current, data))
        current = _parent(current, data.get("extends"), user_dir)
    return chain


def _parent(child: ProfileFile, extends: object, user_dir: Path) -> ProfileFile | None:
    if extends is None:
        return None
    if not isinstance(extends, str):
        raise BcliError(
            f"{child.path}: extends: {extends!r} is no profile's name.",
            hint="Give one name or one path: extends: k100-ai",
            exit_code=ExitCode.INVALID,
        )
    if looks_like_path(extends):
        path = child.path.parent / expand_home(extends)
        return ProfileFile(path.stem, path, "file")
    # A person's own k100 that extends k100 means the shipped one.
    files = shipped_files() if extends == child.name else profile_files(user_dir)
    if extends in files:
        return files[extends]
    raise BcliError(
        f"{child.path}: extends: there is no profile {extends!r}.",
        hint=_nearest(extends, files),
        exit_code=ExitCode.INVALID,
    )


def _nearest(name: str, files: Mapping[str, ProfileFile]) -> str:
    return f"{did_you_mean(similar(name, files))} {_SEE_ALL}".lstrip()


def _complaint(error: ErrorDetails) -> str:
    # A value may be of several types: pydantic tries each in turn and ends the place with the type.
    several = error["loc"][-1:] in (("bool",), ("int",), ("float",), ("str",))
    place = error["loc"][:-1] if several else error["loc"]
    field = ".".join(str(part) for part in place if part != "[key]")
    match error["type"]:
        case _ if several:
            what = f"must be a text, a number, true or false, not {error['input']!r}"
        case "extra_forbidden":
            what = "there is no such key"
        case "missing":
            what = "is missing"
        case "value_error":
            what = str(error["ctx"]["error"])
        case "dict_type" | "mapping_type" | "model_type":
            what = f"must hold lines like 'name: value', not {error['input']!r}"
        case "list_type" | "tuple_type":
            what = f"must be a list, [a, b], not {error['input']!r}"
        case "string_pattern_mismatch":
            what = f"{error['input']!r} is no name of a variable"
        case _:
            what = f"{error['msg'][0].lower()}{error['msg'][1:]} (it is {error['input']!r})"
    return f"• {field or 'profile'}: {what}"
