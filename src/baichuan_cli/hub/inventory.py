"""Everything that is on this machine: the store, and the Baichuan models of the Hugging Face cache."""

from __future__ import annotations

from pathlib import Path

from baichuan_cli.catalog.architecture import read_architecture
from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.json_file import read_json, read_json_if_there
from baichuan_cli.catalog.quantization import read_quantization
from baichuan_cli.catalog.resolve import cached_folder, local_folder, stored_copies
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.hub_cache import repositories
from baichuan_cli.hub.store import Store
from baichuan_cli.hub.stored import StoredModel, look_up, stored_models

_CACHE = "Hugging Face cache"


def take_inventory(store: Store) -> list[StoredModel]:
    """Return the models of the store, then the Baichuan models that the Hugging Face cache holds."""
    cached = [
        StoredModel(_command_name(repository), folder, None, "unchecked", source=_CACHE)
        for repository in repositories()
        if (folder := cached_folder(repository)) and _is_baichuan(folder)
    ]
    return stored_models(store) + cached


def require_in_store(store: Store, name: str) -> StoredModel:
    """Return a model of the store by its name, an alias or its repository.

    Raises:
        BcliError: it is not in the store; the message says where it is, if it is elsewhere on this machine.
    """
    entry = load_catalogue().find(name)
    copies = stored_copies(store, entry) if entry else [found for found in [look_up(store, name)] if found]
    if copies:
        return copies[0]
    folder = local_folder(entry) if entry else cached_folder(name)
    raise BcliError(
        f"{name} is not in the store" + (f"; it is in {folder}, which bcli does not change." if folder else "."),
        hint="See what is: bcli models ls",
        exit_code=ExitCode.NOT_FOUND,
    )


def _command_name(repository: str) -> str:
    entry = load_catalogue().find(repository)
    return entry.command_name if entry else repository


def _is_baichuan(folder: Path) -> bool:
    try:
        read_architecture(read_json(folder / "config.json"), folder / "config.json")
    except BcliError:
        return False
    return True


def format_of(folder: Path) -> str:
    """Return how the weights in a folder are stored, in a word or two; empty where there are none to see."""
    try:
        quantization = read_quantization(read_json_if_there(folder / "config.json"), folder)
    except BcliError:
        return ""  # `bcli models verify` says what is wrong
    if quantization:
        return f"{quantization.method} {quantization.bits}-bit" if quantization.bits else quantization.method
    return next((suffix for suffix in ("safetensors", "bin") if any(folder.glob(f"*.{suffix}"))), "")
