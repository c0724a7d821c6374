"""Changing a checkpoint's files so that every original can come back, whatever happens in between.

The originals lie in the checkpoint, in `.bcli/originals/`, with `.bcli/patch.json` about them: a copy of the folder
takes them along, and programs that look for `*.json` and `*.py` beside the weights do not see them. They are on the
disk before the first file changes. Every file is replaced by a rename, so that a kill leaves the old or the new one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from baichuan_cli.atomic_file import UNFINISHED_SUFFIX, replace_file, sync_folder
from baichuan_cli.catalog.json_file import read_json_if_there
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.tokenizer.patch import CODE, CONFIG, FAST, TOKEN_MAP, Patch

_SCHEMA = "bcli.patch/1"
_NAMES = (CODE, CONFIG, TOKEN_MAP, FAST)  # a downloaded .bcli/patch.json must not reach any other file


@dataclass(frozen=True, slots=True)
class Original:
    """What a file was before bcli changed it.

    Attributes:
        sha256: of its bytes; None where there was no file.
        link: where the file pointed if it was a symbolic link, as in the cache of the Hugging Face hub.
        written: the SHA-256 of each content that bcli put in its place; the last may not have got there.
    """

    sha256: str | None
    link: str | None
    written: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reverted:
    """What `revert_patch` did.

    Attributes:
        restored: files that are as they were.
        changed_since: files that someone changed after bcli, and that were left alone.
        written: the SHA-256 of each content of bcli's that is gone.
    """

    restored: tuple[str, ...]
    changed_since: tuple[str, ...]
    written: frozenset[str]


def read_originals(folder: Path) -> dict[str, Original]:
    """Return what bcli changed in a checkpoint, by file name; nothing where it never did.

    Raises:
        BcliError: the record is damaged.
    """
    from pydantic import TypeAdapter, ValidationError

    path = _kept(folder) / "patch.json"
    try:
        record = TypeAdapter(dict[str, Original]).validate_python(read_json_if_there(path).get("files", {}))
        return {name: original for name, original in record.items() if name in _NAMES}
    except ValidationError:
        raise BcliError(
            f"{path} is damaged.",
            hint=f"The originals may still be in {path.parent / 'originals'}.",
            exit_code=ExitCode.INVALID,
        ) from None


def apply_patch(patch: Patch) -> None:
    """Write the edits of a patch. A second one keeps the originals of the first.

    Raises:
        BcliError: the record of an earlier patch is damaged.
        OSError: the folder cannot be written to.
    """
    if not patch.edits:
        return
    folder = patch.folder
    originals = read_originals(folder)
    _sweep(folder)
    (_kept(folder) / "originals").mkdir(parents=True, exist_ok=True)
    for edit in patch.edits:
        before = _digest(edit.before)
        known = originals.get(edit.name)
        if known is None or before not in (known.sha256, *known.written):
            path = folder / edit.name
            known = Original(before, str(path.readlink()) if path.is_symlink() else None, ())
        if edit.before is not None and before is not None and before == known.sha256:
            # Written anew where there is a record: a revert that was cut short may have removed it.
            replace_file(_copy(folder, edit.name, before), edit.before)
        written = dict.fromkeys([*known.written, sha256_of(edit.after)])
        originals[edit.name] = replace(known, written=tuple(written))
    _write_record(folder, originals)
    for edit in patch.edits:
        replace_file(folder / edit.name, edit.after)


def revert_patch(folder: Path) -> Reverted:
    """Put every original back, and remove what bcli kept of them.

    Raises:
        BcliError: an original is missing or damaged; nothing was changed.
        OSError: the folder cannot be written to.
    """
    originals = read_originals(folder)
    _sweep(folder)
    kept = {name: _read_copy(folder, name, original) for name, original in originals.items()}
    restored, changed_since = [], []
    for name, original in originals.items():
        path = folder / name
        present = _digest(path.read_bytes() if path.exists() else None)
        if present not in (original.sha256, *original.written):
            changed_since.append(name)
            continue
        restored.append(name)
        _restore(path, original, kept[name], present)
    left = {name: originals[name] for name in changed_since}
    if left:
        _write_record(folder, left)
    elif originals:
        _forget(folder)
    written = frozenset(sha256 for name in restored for sha256 in originals[name].written)
    return Reverted(tuple(restored), tuple(changed_since), written)


def _restore(path: Path, original: Original, content: bytes | None, present: str | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    elif original.link is not None and _is_content_of(path.parent / original.link, content):
        _replace_by_link(path, original.link)
    elif present != original.sha256:
        replace_file(path, content)


def _replace_by_link(path: Path, target: str) -> None:
    unfinished = path.with_name(f".{path.name}.link{UNFINISHED_SUFFIX}")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    unfinished.replace(path)
    sync_folder(path.parent)


def _is_content_of(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _read_copy(folder: Path, name: str, original: Original) -> bytes | None:
    if original.sha256 is None:
        return None
    for path in (_copy(folder, name, original.sha256), folder / name):
        if path.is_file() and sha256_of(content := path.read_bytes()) == original.sha256:
            return content
    raise BcliError(
        f"The original of {name} is missing or damaged: {_copy(folder, name, original.sha256)}",
        hint="Download the file again from the model's repository.",
        exit_code=ExitCode.INVALID,
    )


def _kept(folder: Path) -> Path:
    path = folder / ".bcli"
    for place in (path, path / "originals"):
        if place.is_symlink():  # a downloaded one could lead anywhere
            raise BcliError(f"{place} is a symbolic link.", hint="Remove it first.", exit_code=ExitCode.INVALID)
    return path


def _copy(folder: Path, name: str, sha256: str) -> Path:
    return _kept(folder) / "originals" / f"{name}.{sha256[:12]}"


def _write_record(folder: Path, originals: dict[str, Original]) -> None:
    record: dict[str, Any] = {
        "schema": _SCHEMA,
        "files": {name: asdict(original) for name, original in originals.items()},
    }
    text = json.dumps(record, indent=2, ensure_ascii=False).encode() + b"\n"
    replace_file(_kept(folder) / "patch.json", text)


def _forget(folder: Path) -> None:
    """Remove `.bcli`, the record last: until then a revert that was cut short can be done again."""
    kept = _kept(folder)
    copies = kept / "originals"
    for name in _NAMES:
        for path in copies.glob(f"{name}.*"):
            path.unlink()
    if copies.exists() and not any(copies.iterdir()):
        copies.rmdir()
    (kept / "patch.json").unlink()
    if not any(kept.iterdir()):
        kept.rmdir()


def _sweep(folder: Path) -> None:
    """Remove what a killed bcli was about to put in the place of a file."""
    names = [folder / name for name in _NAMES] + [_kept(folder) / "patch.json"]
    for path in names:
        for unfinished in path.parent.glob(f".{path.name}.*{UNFINISHED_SUFFIX}"):
            unfinished.unlink(missing_ok=True)


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _digest(content: bytes | None) -> str | None:
    return None if content is None else sha256_of(content)
