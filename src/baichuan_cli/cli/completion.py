"""What the shell offers when a person presses Tab."""

from __future__ import annotations


def complete_model(incomplete: str) -> list[str]:
    """Return the catalogue's names that start with what was typed."""
    from baichuan_cli.catalog.catalogue import load_catalogue

    return [name for name in load_catalogue().names() if name.startswith(incomplete.lower())]


def complete_profile(incomplete: str) -> list[str]:
    """Return the profiles, shipped and a person's own, whose names start with what was typed."""
    from baichuan_cli.hardware.files import profile_files, user_profiles_dir

    return [name for name in profile_files(user_profiles_dir()) if name.startswith(incomplete.lower())]
