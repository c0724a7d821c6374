"""The cache of the Hugging Face hub on this machine: models that are there are used in place, never copied."""

from __future__ import annotations

import os
from pathlib import Path

from baichuan_cli import paths
from baichuan_cli.hub.names import repository_name

_PREFIX = "models--"


def repositories() -> list[str]:
    """Return the repositories of models that the cache holds, whole or not, by name."""
    folders = (folder.name.removeprefix(_PREFIX) for folder in _hub_cache().glob(f"{_PREFIX}*"))
    return sorted(filter(None, map(repository_name, folders)), key=str.lower)


def snapshots(repository: str) -> list[Path]:
    """Return what the cache holds of a repository, named in any case: the main branch first, then the newest."""
    spelling = next((each for each in repositories() if each.lower() == repository.lower()), repository)
    cached = _hub_cache() / f"{_PREFIX}{spelling.replace('/', '--')}"
    main = cached / "refs" / "main"
    commit = main.read_text(encoding="utf-8", errors="replace").strip() if main.is_file() else ""
    folders = [folder for folder in cached.glob("snapshots/*") if folder.is_dir()]
    return sorted(folders, key=lambda folder: (folder.name != commit, -folder.stat().st_mtime))


def _hub_cache() -> Path:
    """Return the folder of the cache, by the environment variables that huggingface_hub reads."""
    if cache := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return paths.expand_home(cache)
    return paths.huggingface_home() / "hub"
