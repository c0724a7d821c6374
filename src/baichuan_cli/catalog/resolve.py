"""From what a person types after `--model` to a Model: a folder, or a name of the catalogue or of the local store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.catalog.model import Model
from baichuan_cli.catalog.schema import BundledEntry, Entry
from baichuan_cli.catalog.weight_files import has_weights
from baichuan_cli.demo import demo_path
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.hub_cache import snapshots
from baichuan_cli.hub.names import is_repository
from baichuan_cli.hub.store import Store, default_store
from baichuan_cli.hub.stored import StoredModel, inspect_folder, look_up
from baichuan_cli.paths import expand_home


def resolve_model(name_or_path: str) -> Model:
    """Return the facts about a model, from its files where they are on this machine.

    A folder with a config.json in it goes before a name that happens to be spelt the same. A catalogue name without
    whole files gives a Model whose `path` is None: enough to plan with, and `require_local` refuses to load it.

    Args:
        name_or_path: a folder, a name or alias of the catalogue, a name in the local store, or a repository such as
            `org/name` that the catalogue, the store or the Hugging Face cache knows.

    Raises:
        BcliError: there is no such model or folder, its download is not finished, or the folder cannot be used.
    """
    folder = expand_home(name_or_path)
    if name_or_path and (folder / "config.json").exists():
        return read_checkpoint(inspect_folder(folder).require_usable()).model
    catalogue = load_catalogue()
    if catalogue.find(name_or_path) is None:
        if found := uncatalogued(name_or_path):
            name, here = found
            return replace(read_checkpoint(here).model, name=name)
        if is_path(name_or_path):
            return read_checkpoint(folder).model  # says what is wrong with the folder
    return model_of(catalogue.get(name_or_path))


def model_of(entry: Entry | BundledEntry) -> Model:
    """Return the facts about a model of the catalogue, from its files where they are on this machine.

    Raises:
        BcliError: its files are here, but damaged or not fully downloaded; or it should have come with bcli, but
            did not.
    """
    if folder := local_folder(entry):
        return replace(read_checkpoint(folder).model, name=entry.command_name)
    if isinstance(entry, Entry):
        return load_catalogue().model(entry)
    raise BcliError(
        f"The model {entry.name} is missing from this installation of bcli.",
        hint="Install bcli again.",
        exit_code=ExitCode.NOT_FOUND,
    )


def require_local(model: Model) -> Path:
    """Return the folder to load a model from.

    Raises:
        BcliError: the model is not on this machine, or its download is not finished.
    """
    if model.path is not None:
        return model.path
    entry = load_catalogue().get(model.name)
    for stored in stored_copies(default_store(), entry):
        stored.require_usable()
    raise BcliError(
        f"{model.name} is not on this machine.",
        hint=f"Download it: bcli download {model.name}\n"
        "If you have it already, give its folder: --model PATH\n"
        f"Other places to get it: bcli models show {model.name}",
        exit_code=ExitCode.NOT_FOUND,
    )


def local_folder(entry: Entry | BundledEntry) -> Path | None:
    """Return where a model of the catalogue lies on this machine, or None. Only looks; the files may be damaged.

    A download that is not finished does not count.
    """
    return _first_with_weights(_places(entry))


def uncatalogued(name: str) -> tuple[str, Path] | None:
    """Return what a model that the catalogue does not know is called, and where it lies; None where it is not here.

    Raises:
        BcliError: it is in the store only, and its download is not finished or its record is damaged.
    """
    stored, cached = look_up(default_store(), name), cached_folder(name)
    if stored and (stored.usable or cached is None):
        return stored.name, stored.require_usable()
    return (name, cached) if cached else None


def cached_folder(repository: str) -> Path | None:
    """Return where the Hugging Face cache holds a repository, or None. Only looks; the files may be damaged."""
    return _first_with_weights(snapshots(repository)) if is_repository(repository) else None


def stored_copies(store: Store, entry: Entry | BundledEntry) -> list[StoredModel]:
    """Return what a store holds of a model of the catalogue, whole or not, under any of its names."""
    if isinstance(entry, BundledEntry):
        return []
    return [stored for alias in entry.aliases if (stored := look_up(store, alias))]


def is_path(text: str) -> bool:
    """Tell whether a text is a path: spelt as one, or something lies there. `org/name` may be a repository."""
    spelt = text.startswith((".", "~", os.sep)) or text.count(os.sep) > 1 or text.endswith(os.sep)
    return spelt or (text != "" and expand_home(text).exists())


def _first_with_weights(folders: Iterable[Path]) -> Path | None:
    return next((folder for folder in folders if (folder / "config.json").exists() and has_weights(folder)), None)


def _places(entry: Entry | BundledEntry) -> Iterator[Path]:
    if isinstance(entry, BundledEntry):
        yield demo_path(entry.name)
        return
    for stored in stored_copies(default_store(), entry):
        if stored.usable:
            yield stored.path
    yield from snapshots(entry.sources.huggingface)
