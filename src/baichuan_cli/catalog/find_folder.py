"""From what a person types to a folder on this machine, whose files may be in any state: for what mends them."""

from __future__ import annotations

from pathlib import Path

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.catalog.resolve import is_path, local_folder, model_of, require_local, uncatalogued
from baichuan_cli.paths import expand_home


def find_folder(name_or_path: str) -> Path:
    """Return where a model lies on this machine.

    As in `resolve_model`, a folder with a config.json goes before a name.

    Raises:
        BcliError: there is no such folder or model, or the model is not on this machine.
    """
    folder = expand_home(name_or_path)
    catalogue = load_catalogue()
    entry = catalogue.find(name_or_path)
    if name_or_path and ((folder / "config.json").exists() or (entry is None and folder.is_dir())):
        return folder
    if entry is None and (found := uncatalogued(name_or_path)):
        return found[1]
    if entry is None and is_path(name_or_path):
        read_checkpoint(folder)  # says what is wrong with the path
    entry = entry or catalogue.get(name_or_path)  # says which names are near
    return local_folder(entry) or require_local(model_of(entry))
