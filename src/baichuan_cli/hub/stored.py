"""One model of the store as it is found: where its files lie, and whether they may be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.manifest import Manifest, read_manifest
from baichuan_cli.hub.names import is_repository, store_name
from baichuan_cli.hub.store import Store

State = Literal["complete", "partial", "unchecked", "missing", "damaged"]


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model of the store.

    Attributes:
        name: the folder's name in the store.
        path: where the files lie; elsewhere for a registered model.
        manifest: its record, or None where a person put the folder there, or where the record is damaged.
        state: "complete" where every file was checked when it came; "partial" where a download is not finished;
            "unchecked" where no record speaks of the files; "missing" where a registered folder is gone; "damaged"
            where the record cannot be read.
        source: where it came from, in a word or two.
        problem: what is wrong with the record; None where nothing is.
    """

    name: str
    path: Path
    manifest: Manifest | None
    state: State
    source: str
    problem: BcliError | None = None

    @property
    def elsewhere(self) -> bool:
        """Tell whether the files lie outside the store, which has only a record or a link that points there."""
        return self.path.is_symlink() or (self.manifest is not None and self.manifest.folder is not None)

    @property
    def usable(self) -> bool:
        """Tell whether the files may be loaded, as far as the record knows."""
        return self.state in ("complete", "unchecked")

    def require_usable(self) -> Path:
        """Return where the files lie.

        Raises:
            BcliError: the download is not finished, the folder is gone, or the record is damaged.
        """
        match self.state:
            case "partial":
                raise BcliError(
                    f"The download of {self.name} is not finished.",
                    hint=f"Go on with it: bcli download {self.name}",
                    exit_code=ExitCode.INVALID,
                )
            case "missing":
                raise BcliError(
                    f"{self.name} is registered, but its folder is gone: {self.path}",
                    hint=f"Bring the folder back, or forget it: bcli models rm {self.name}",
                    exit_code=ExitCode.NOT_FOUND,
                )
        if self.problem:
            raise self.problem
        return self.path


def inspect_folder(folder: Path) -> StoredModel:
    """Return what the record in a folder says of it."""
    try:
        manifest = read_manifest(folder)
    except BcliError as problem:
        return StoredModel(folder.name, folder, None, "damaged", "unknown", problem)
    if manifest is None:
        return StoredModel(folder.name, folder, None, "unchecked", "put there by hand")
    if manifest.folder is None:
        return StoredModel(folder.name, folder, manifest, manifest.state, manifest.source)
    state: State = "unchecked" if manifest.folder.is_dir() else "missing"
    return StoredModel(folder.name, manifest.folder, manifest, state, manifest.source)


def look_up(store: Store, name: str) -> StoredModel | None:
    """Return a model of the store by its name in any case or by its repository, or None."""
    known = {stored.lower(): stored for stored in store.names()}
    found = known.get(store_name(name) if is_repository(name) else name.lower())
    return inspect_folder(store.folder(found)) if found else None


def stored_models(store: Store) -> list[StoredModel]:
    """Return everything in the store, by name."""
    return [inspect_folder(store.folder(name)) for name in store.names()]
