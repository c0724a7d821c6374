"""The record of one model in the store: where it came from, its files and their hashes, and how far it got.

It lies beside the model's files as `.bcli-manifest.json`. A model that lies elsewhere and is only registered has a
record with `folder` and no files of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from baichuan_cli.atomic_file import replace_file
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.names import is_inside

FILE_NAME = ".bcli-manifest.json"
SCHEMA: Final = "bcli.manifest/1"

State = Literal["partial", "complete"]


def _stays_inside(path: str) -> str:
    if not is_inside(path):
        raise ValueError(f"{path!r} leads out of the model's folder")
    return path


FilePath = Annotated[str, AfterValidator(_stays_inside)]  # relative, with forward slashes


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_Frozen):
    """One file's size in bytes and its SHA-256 in lower-case hexadecimal, None where the source gives none."""

    size: Annotated[int, Field(ge=0, strict=True)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


class Manifest(_Frozen):
    """What is known about one model in the store."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Annotated[Literal["bcli.manifest/1"], Field(alias="schema")] = SCHEMA
    name: str  # the folder's name in the store
    source: str  # "huggingface", "hf-mirror", "modelscope", "aimodels", "folder" or "registered"
    repository: str = ""  # as the source calls it
    revision: str = ""  # the commit; of a folder a hash of its files' names, sizes and times
    folder: Path | None = None  # where a registered model lies; None: beside this record
    files: Mapping[FilePath, FileRecord] = {}  # as the source has them
    patches: Mapping[FilePath, FileRecord] = {}  # what bcli has changed or added since, as it is now
    state: State = "partial"
    created: AwareDatetime = Field(default_factory=_now)
    updated: AwareDatetime = Field(default_factory=_now)

    def expected(self) -> dict[str, FileRecord]:
        """Return every file that should be there, as it should be now: the source's, with bcli's own changes."""
        return {**self.files, **self.patches}

    def expected_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(record.size for record in self.expected().values())


def read_manifest(folder: Path) -> Manifest | None:
    """Read the record in a model's folder; None where there is none.

    Raises:
        BcliError: the record is damaged, or a newer bcli wrote it.
    """
    path = folder / FILE_NAME
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise _damaged(path, "it is a folder") from None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise _unreadable(path, error) from None


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write the record into a model's folder in one step; return it as written, with the time in `updated`."""
    stamped = manifest.model_copy(update={"updated": _now()})
    replace_file(folder / FILE_NAME, stamped.model_dump_json(by_alias=True, indent=2).encode() + b"\n")
    return stamped


def _unreadable(path: Path, error: ValidationError) -> BcliError:
    name = path.parent.name
    problem = error.errors(include_url=False)[0]
    if problem["loc"] == ("schema",) and isinstance(problem["input"], str):
        return BcliError(
            f"The record of {name} was written by another version of bcli: {problem['input']!r}, not {SCHEMA!r}.",
            hint=f"Use the newer bcli, or make the record again: bcli models rm {name}, then bcli download {name}",
            exit_code=ExitCode.INVALID,
        )
    where = ".".join(str(part) for part in problem["loc"])
    return _damaged(path, f"{where}: {problem['msg']}" if where else problem["msg"])


def _damaged(path: Path, what: str) -> BcliError:
    name = path.parent.name
    return BcliError(
        f"The record of {name} is damaged: {what} ({path}).",
        hint=f"Delete the record and download again, which keeps what is there: rm {path}\nThen: bcli download {name}",
        exit_code=ExitCode.INVALID,
    )
