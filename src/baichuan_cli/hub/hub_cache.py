"""The cache of the Hugging Face hub on this machine: models that are there are used in place, never copied."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from baichuan_cli import paths


def snapshots(repository: str) -> Iterator[Path]:
    """Yield what the cache holds of a repository: the main branch first, then the newest."""
    cached = _hub_cache() / f"models--{repository.replace('/', '--')}"
    main = cached / "refs" / "main"
    if main.is_file():
        yield cached / "snapshots" / main.read_text(encoding="utf-8").strip()
    snapshots = cached / "snapshots"
    if snapshots.is_dir():
        yield from sorted(snapshots.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)


def _hub_cache() -> Path:
    """Return the folder of the cache, by the environment variables that huggingface_hub reads."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    return paths.huggingface_home() / "hub"
