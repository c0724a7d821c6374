"""Registering a folder that lies elsewhere, so that it has a name; nothing is copied."""

from __future__ import annotations

from pathlib import Path

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.checkpoint import folder_name, read_checkpoint
from baichuan_cli.catalog.model import Model
from baichuan_cli.catalog.schema import BundledEntry
from baichuan_cli.errors import BcliError
from baichuan_cli.hub.manifest import Manifest
from baichuan_cli.hub.names import check_store_name, is_store_name, is_text
from baichuan_cli.hub.store import Store
from baichuan_cli.hub.stored import inspect_folder, look_up
from baichuan_cli.paths import expand_home

SOURCE = "registered"


def register(store: Store, folder: Path, name: str | None = None) -> Manifest:
    """Give a folder a name in the store.

    Args:
        store: where the record goes.
        folder: a checkpoint outside the store.
        name: the folder's own name where absent. A name of the catalogue is taken only for a model of the same shape
            and quantization, which is then used wherever that name is given.

    Raises:
        BcliError: the folder is no whole checkpoint, lies in the store or has a path that is no text, or the name is
            taken or cannot be a name.
    """
    lies_at = expand_home(folder).resolve()
    if not is_text(str(lies_at)):
        raise BcliError(f"{lies_at} is not text in UTF-8, so no record can hold it.", hint="Rename the folder first.")
    model = read_checkpoint(inspect_folder(lies_at).require_usable()).model
    if lies_at.is_relative_to(store.root.resolve()):
        raise BcliError(f"{folder} is in the store already.", hint="See what is there: bcli models ls")
    own_name = folder_name(lies_at)
    if not name and not is_store_name(own_name):
        raise BcliError(
            f"{own_name!r} cannot be the name of a model.",
            hint=f"Give it one of letters and digits: bcli models add {folder} --name NAME",
        )
    chosen = _name_for(model, check_store_name(name or own_name))
    with store.lock(chosen):
        if taken := look_up(store, chosen):
            raise BcliError(
                f"There is a model {taken.name} in the store already: {taken.path}",
                hint=f"Give this one another name: bcli models add {folder} --name NAME\n"
                f"Or remove the other first: bcli models rm {taken.name}",
            )
        return store.write(Manifest(name=chosen, source=SOURCE, folder=lies_at, state="complete"))


def _name_for(model: Model, name: str) -> str:
    catalogue = load_catalogue()
    entry = catalogue.find(name)
    if entry is None:
        return name
    if not isinstance(entry, BundledEntry):
        known = catalogue.model(entry)
        if known.architecture == model.architecture and _method(known) == _method(model):
            return entry.command_name
    raise BcliError(
        f"The catalogue has a model {entry.command_name}, and this folder holds another one.",
        hint=f"Give it a name of its own: bcli models add {model.path} --name NAME",
    )


def _method(model: Model) -> str | None:
    return model.quantization.method if model.quantization else None
