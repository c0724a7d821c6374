"""What a person means by the name that follows `bcli download`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.catalog.resolve import cached_folder, local_folder
from baichuan_cli.catalog.schema import BundledEntry, Entry
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.datasets import DATASETS
from baichuan_cli.hub.names import is_repository, repository_name, store_name
from baichuan_cli.hub.sources import Places, places_of, places_of_repository
from baichuan_cli.hub.store import Store
from baichuan_cli.hub.stored import look_up
from baichuan_cli.similar import did_you_mean, similar


@dataclass(frozen=True, slots=True)
class Target:
    """A model to download.

    Attributes:
        name: what commands take.
        store_name: what the store calls it.
        places: where it can be had.
        entry: what the catalogue knows of it; None for a repository that it does not know.
    """

    name: str
    store_name: str
    places: Places
    entry: Entry | None = None

    def elsewhere(self, store: Store) -> Path | None:
        """Return where a whole copy lies that is not the store's, such as in the Hugging Face cache."""
        folder = local_folder(self.entry) if self.entry else self._folder_of_repository(store)
        if folder is None or folder.is_relative_to(store.root):
            return None
        try:
            read_checkpoint(folder)
        except BcliError:
            return None  # half of another program's download
        return folder

    def _folder_of_repository(self, store: Store) -> Path | None:
        stored = look_up(store, self.store_name)
        return stored.path if stored and stored.usable else cached_folder(self.name)


def find_target(name: str, store: Store) -> Target:
    """Return what a name stands for: an entry of the catalogue, or a repository by its name there or in the store.

    Raises:
        BcliError: it is neither, or comes with bcli.
    """
    entry = load_catalogue().find(name)
    if isinstance(entry, BundledEntry):
        raise BcliError(
            f"{entry.name} comes with bcli.", hint=f"bcli generate --model {entry.name} --prompt 床前明月光"
        )
    if entry:
        return Target(entry.command_name, entry.command_name, places_of(entry), entry)
    if repository := _repository(name, store):
        return Target(repository, store_name(repository), places_of_repository(repository))
    raise _unknown(name)


def _repository(name: str, store: Store) -> str | None:
    if is_repository(name):
        return name
    if guess := repository_name(name):
        manifest = store.read(name)
        return manifest.repository if manifest and store_name(manifest.repository) == name.lower() else guess
    return None


def _unknown(name: str) -> BcliError:
    near = ""
    if "://" in name:
        repository = "/".join(name.rstrip("/").split("/")[-2:])
        hint = f"Give a name, or the repository alone: bcli download {repository}"
    elif name.startswith((".", "~", "/")):
        hint = f"A folder needs no download. Give it a name: bcli models add {name}\n"
        hint += f"Or copy from it: bcli download NAME --source {name}"
    else:
        hint = "See all names with: bcli models list"
        near = did_you_mean(load_catalogue().nearest(name) or similar(name, DATASETS))
    return BcliError(f"There is no model {name!r}. {near}".rstrip(), hint=hint, exit_code=ExitCode.NOT_FOUND)
