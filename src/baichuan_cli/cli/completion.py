"""What the shell offers when a person presses Tab."""

from __future__ import annotations


def complete_model(incomplete: str) -> list[str]:
    """Return the names of the catalogue and of the store that start with what was typed."""
    from baichuan_cli.catalog.catalogue import load_catalogue

    names = dict.fromkeys([*load_catalogue().names(), *complete_stored(incomplete)])
    return [name for name in names if name.lower().startswith(incomplete.lower())]


def complete_download(incomplete: str) -> list[str]:
    """Return the names of the catalogue and of the data sets that start with what was typed."""
    from baichuan_cli.catalog.catalogue import load_catalogue
    from baichuan_cli.hub.datasets import DATASETS

    names = [entry.command_name for entry in load_catalogue().entries] + list(DATASETS)
    return [name for name in names if name.startswith(incomplete.lower())]


def complete_stored(incomplete: str) -> list[str]:
    """Return the names of the store that start with what was typed."""
    from baichuan_cli.hub.store import default_store

    return [name for name in default_store().names() if name.lower().startswith(incomplete.lower())]


def complete_profile(incomplete: str) -> list[str]:
    """Return the profiles, shipped and a person's own, whose names start with what was typed."""
    from baichuan_cli.hardware.files import profile_files, user_profiles_dir

    return [name for name in profile_files(user_profiles_dir()) if name.startswith(incomplete.lower())]
