"""Where bcli keeps its files: `BCLI_HOME` holds everything when set, the platform's own folders otherwise."""

from __future__ import annotations

import os
from pathlib import Path


def expand_home(path: str | Path) -> Path:
    """Return a path with `~` replaced by a home folder; like a shell, leave it where there is no such person."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _folder(kind: str) -> Path:
    home = os.environ.get("BCLI_HOME")
    if home:
        return expand_home(home) / kind
    from platformdirs import PlatformDirs

    path: Path = getattr(PlatformDirs("bcli", appauthor=False), f"user_{kind}_path")
    return path


def config_dir() -> Path:
    """Return the folder of `config.yaml` and of a person's own `profiles/`."""
    return _folder("config")


def data_dir() -> Path:
    """Return the folder of downloaded models and of conversations."""
    return _folder("data")


def state_dir() -> Path:
    """Return the folder of log files and of what was typed in conversations."""
    return _folder("state")


def own_cache_dir() -> Path | None:
    """Return the folder of what is compiled, where a person keeps everything in `BCLI_HOME`; otherwise None."""
    return _folder("cache") if os.environ.get("BCLI_HOME") else None


def huggingface_home() -> Path:
    """Return the folder of Hugging Face's caches, by the environment variables that huggingface_hub reads."""
    cache_home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expand_home(os.environ.get("HF_HOME") or f"{cache_home}/huggingface")
