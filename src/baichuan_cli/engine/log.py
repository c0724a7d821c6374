"""Keep vLLM's chatter out of the terminal: it goes to a log file that is named when something fails.

vLLM, torch and their C++ parts write to file descriptors 1 and 2 directly, and so do the worker processes that
inherit them, so the descriptors themselves are turned over, not `sys.stdout`.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

_KEPT_LOGS = 20
_MOST_BYTES_OF_A_LINE = 8192  # vLLM writes its whole configuration in one


@dataclass(frozen=True, slots=True)
class EngineLog:
    """Where vLLM's output goes while it runs, and the streams that still reach the person."""

    path: Path | None  # None: shown to the person as it comes
    stdout: TextIO
    stderr: TextIO

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of the log; empty when it was shown as it came."""
        return "" if self.path is None else tail(self.path, lines)


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a log that have something in them; of a long log its end alone is read."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST_BYTES_OF_A_LINE * lines))
        text = file.read().decode("utf-8", "replace")
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def end_of(path: Path, lines: int = 12) -> str:
    """Return the last lines of a log, and where the whole of it is, to be shown with an error."""
    return f"{tail(path, lines)}\nThe whole log: {path}"


def new_log_path(folder: Path, name: str) -> Path:
    """Return a fresh path for a log and remove the oldest ones beyond a small number."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.log"), key=_written)[: -_KEPT_LOGS + 1]:
        if not _in_use(old):
            old.unlink(missing_ok=True)
    return folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"


def _written(path: Path) -> float:
    """Return when a log was written last; 0 where another bcli has removed it meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _in_use(path: Path) -> bool:
    """Tell whether the process in a log's name still runs: an idle server writes nothing for weeks."""
    process = re.search(r"-(\d+)$", path.stem)
    if process is None:
        return False
    try:
        os.kill(int(process[1]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, as somebody else
    return True


@contextmanager
def divert(path: Path | None) -> Iterator[EngineLog]:
    """Send what is written to descriptors 1 and 2 to a log file, or all of it to stderr when there is none.

    Yields:
        The log, with streams on the original stdout and stderr. stdout carries data only, even without a log file.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    target = os.dup(2) if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    streams = [
        os.fdopen(os.dup(descriptor), "w", encoding=stream.encoding or "utf-8", errors=stream.errors)
        for descriptor, stream in zip(saved, (sys.stdout, sys.stderr), strict=True)
    ]
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    try:
        yield EngineLog(path, *streams)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in streams:
            stream.close()
        for descriptor, original in zip(saved, (1, 2), strict=True):
            os.dup2(descriptor, original)
            os.close(descriptor)
