"""What the doctor asks the operating system and Python, in one object, so that tests can give recorded answers.

Whatever can be read from a file is read through `hardware.system.System`; here is what needs a call.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from baichuan_cli.hardware.system import CommandResult, System, run_command

#: Importing vLLM takes 10 s from a warm disk, and minutes from a cold one over a network.
_IMPORT_SECONDS = 180.0


class Space(NamedTuple):
    """A file system's size and what this user may still write, in bytes."""

    total: int
    free: int


class Owner(NamedTuple):
    """Whose a file is, by number, and its permission bits."""

    group: int
    mode: int


def space(path: Path) -> Space | None:
    """Return the space of the file system that a path lies on; None where the path is not there."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None
    return Space(usage.total, usage.free)


def owner(path: Path) -> Owner | None:
    """Return whose a file is; None where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Owner(status.st_gid, status.st_mode & 0o777)


def may_write(folder: Path) -> bool:
    """Tell whether this user may write into a folder."""
    return os.access(folder, os.W_OK | os.X_OK)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The machine and the Python environment as the doctor sees them."""

    system: System = field(default_factory=System)
    space: Callable[[Path], Space | None] = space
    owner: Callable[[Path], Owner | None] = owner
    may_write: Callable[[Path], bool] = may_write
    run_python: Callable[[Sequence[str]], CommandResult] = partial(run_command, timeout=_IMPORT_SECONDS)
    search_path: Sequence[str] = field(default_factory=lambda: tuple(sys.path))  # where packages are looked for
    python: str = field(default_factory=platform.python_version)
    operating_system: str = field(default_factory=platform.system)  # "Linux"
    kernel: str = field(default_factory=platform.release)
    processor: str = field(default_factory=platform.machine)  # "x86_64"
