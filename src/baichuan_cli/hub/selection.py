"""Which files of a repository a model needs: one format of weights, the tokenizer, the configuration, the licence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.names import is_inside, is_text
from baichuan_cli.hub.source import Listing, RemoteFile

_ESSENTIAL = (
    "config.json",
    "generation_config.json",
    "quantize_config.json",
    "quant_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenization_*.py",
)
_USEFUL = ("*.json", "*.py", "*.jinja", "*.txt", "*.md", "*licen[sc]e*", "notice*")
_SAFETENSORS = ("*.safetensors", "*.safetensors.index.json")
_BIN = ("*.bin", "*.bin.index.json")
_NO_WEIGHTS = ("training_args.bin", "optimizer.bin", "scheduler.bin", "scaler.bin")


@dataclass(frozen=True, slots=True)
class Selection:
    """What is fetched, small files first, and what is left where it is."""

    files: tuple[RemoteFile, ...]
    left: tuple[RemoteFile, ...]

    @property
    def has_weights(self) -> bool:
        """Tell whether weights are among the files."""
        return any(_matches(file, _SAFETENSORS[:1] + _BIN[:1]) for file in self.files)

    @property
    def bin_bytes(self) -> int:
        """Return the size of the `.bin` weights."""
        return sum(file.size or 0 for file in self.files if is_bin_weight(file.path))

    @property
    def weight_bytes(self) -> int:
        """Return the size of all weights."""
        weights = (file for file in self.files if _matches(file, _SAFETENSORS[:1] + _BIN[:1]))
        return sum(file.size or 0 for file in weights)

    def without_bin(self) -> Selection:
        """Return the same without `.bin` weights."""
        return Selection(tuple(file for file in self.files if not is_bin_weight(file.path)), self.left)


def select(listing: Listing, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Selection:
    """Choose the files of a repository.

    Without patterns that is what a model needs at the top of its repository, with safetensors before `.bin`.

    Args:
        listing: the repository.
        include: patterns in place of that choice, such as "*.safetensors"; tokenizer and configuration come always.
        exclude: patterns of what is left out; tokenizer and configuration stay.

    Raises:
        BcliError: a path would leave the target folder, two differ in nothing but case, a pattern of `include` matches
            no file, or nothing is left.
    """
    check_paths(listing)
    for pattern in include:
        if not any(_matches(file, (pattern,)) for file in listing.files):
            raise BcliError(
                f"{listing.repository} has no file that matches {pattern!r}.",
                hint="See all files with --dry-run, without --include.",
                exit_code=ExitCode.NOT_FOUND,
            )
    files = [
        file
        for file in listing.files
        if is_text(file.path)
        and not _is_hidden(file)
        and (
            _matches(file, _ESSENTIAL)
            or ((_matches(file, include) if include else _is_needed(file, listing)) and not _matches(file, exclude))
        )
    ]
    if not files:
        raise BcliError(
            f"{listing.repository} has no file that is wanted.",
            hint="Look at all of them with --dry-run, and check --include and --exclude.",
            exit_code=ExitCode.NOT_FOUND,
        )
    chosen = tuple(sorted(files, key=lambda file: (file.size is None, file.size, file.path)))
    return Selection(chosen, tuple(file for file in listing.files if file not in files))


def is_bin_weight(path: str) -> bool:
    """Tell whether a file is `.bin` weights, or their index."""
    return any(fnmatchcase(path, pattern) for pattern in _BIN) and path not in _NO_WEIGHTS


def check_paths(listing: Listing) -> None:
    """Make sure that every file of a repository stays in the folder it is fetched into.

    Raises:
        BcliError: a path would leave it, or would write over another file.
    """
    taken: dict[str, str] = {}
    for file in listing.files:
        if not is_inside(file.path):
            raise _refused(listing, f"the path {file.path!r} would leave the target folder")
        other = taken.setdefault(file.path.lower(), file.path)
        if other != file.path:
            raise _refused(listing, f"the paths {other!r} and {file.path!r} are one file on many systems")


def _is_needed(file: RemoteFile, listing: Listing) -> bool:
    if "/" in file.path or file.path in _NO_WEIGHTS:
        return False
    if any(_matches(other, _SAFETENSORS[:1]) for other in listing.files if "/" not in other.path):
        return _matches(file, _SAFETENSORS) or (_matches(file, _USEFUL) and not _matches(file, _BIN))
    return _matches(file, _BIN + _USEFUL)


def _is_hidden(file: RemoteFile) -> bool:
    """Tell whether a file is hidden: git's own, or one that would pass itself off as bcli's record of the model."""
    return any(part.startswith(".") for part in file.path.split("/"))


def _matches(file: RemoteFile, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(file.path.lower(), pattern.lower()) for pattern in patterns)


def _refused(listing: Listing, why: str) -> BcliError:
    return BcliError(
        f"Nothing was downloaded from {listing.repository}: {why}.",
        hint="This repository is not to be trusted.",
        exit_code=ExitCode.REFUSED,
    )
