"""From what a person types after `--model` to a Model: a folder, a bundled demo, or a name of the catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from baichuan_cli import paths
from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.catalog.model import Model
from baichuan_cli.catalog.schema import BundledEntry, Entry
from baichuan_cli.catalog.weight_files import has_weights
from baichuan_cli.demo import demo_path
from baichuan_cli.errors import BcliError, ExitCode


def resolve_model(name_or_path: str) -> Model:
    """Return the facts about a model, from its files where they are on this machine.

    A folder with a config.json in it goes before a catalogue name that happens to be spelt the same. A catalogue name
    without files gives a Model whose `path` is None: enough to plan with, and `require_local` refuses to load it.

    Args:
        name_or_path: a folder, a name or alias of the catalogue, or a repository id such as `org/name`.

    Raises:
        BcliError: there is no such model or folder, or the folder cannot be used.
    """
    folder = Path(name_or_path).expanduser()
    if (folder / "config.json").exists():
        return read_checkpoint(folder).model
    catalogue = load_catalogue()
    if catalogue.find(name_or_path) is None and (folder.exists() or _is_path(name_or_path)):
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
        BcliError: the model is not on this machine.
    """
    if model.path is not None:
        return model.path
    entry = load_catalogue().get(model.name)
    download = f"Download it: hf download {entry.sources.huggingface}\n" if isinstance(entry, Entry) else ""
    raise BcliError(
        f"{model.name} is not on this machine.",
        hint=f"{download}If you have it already, give its folder: --model PATH\n"
        f"Other places to get it: bcli models show {model.name}",
        exit_code=ExitCode.NOT_FOUND,
    )


def local_folder(entry: Entry | BundledEntry) -> Path | None:
    """Return where a model of the catalogue lies on this machine, or None. Only looks; the files may be damaged."""
    for folder in _places(entry):
        if (folder / "config.json").exists() and has_weights(folder):
            return folder
    return None


def _is_path(text: str) -> bool:
    """Tell whether a text can only be a path; `org/name` may be a repository."""
    return text.startswith((".", "~", os.sep)) or text.count(os.sep) > 1 or text.endswith(os.sep)


def _places(entry: Entry | BundledEntry) -> Iterator[Path]:
    if isinstance(entry, BundledEntry):
        yield demo_path(entry.name)
        return
    store = paths.data_dir() / "models"
    yield store / entry.name
    for alias in entry.aliases:
        yield store / alias
    yield from _snapshots(entry.sources.huggingface)


def _snapshots(repository: str) -> Iterator[Path]:
    """Yield what the Hugging Face cache holds of a repository: the main branch first, then the newest."""
    cached = _hub_cache() / f"models--{repository.replace('/', '--')}"
    main = cached / "refs" / "main"
    if main.is_file():
        yield cached / "snapshots" / main.read_text(encoding="utf-8").strip()
    snapshots = cached / "snapshots"
    if snapshots.is_dir():
        yield from sorted(snapshots.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)


def _hub_cache() -> Path:
    """Return the folder of the Hugging Face cache, by the environment variables that huggingface_hub reads."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    cache_home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache_home}/huggingface"
    return Path(home).expanduser() / "hub"
