"""What detection asks the operating system, in one object, so that tests can give recorded answers."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: A tool that has not answered by then is taken as broken. nvidia-smi needs some seconds on eight sleeping cards,
#: importing torch from a cold disk needs more.
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command wrote; `problem` says in a few words what went wrong, and is empty when all went well."""

    stdout: str = ""
    problem: str = ""


def run_command(command: Sequence[str], *, timeout: float = TIMEOUT_SECONDS) -> CommandResult:
    """Run a command to its end and return what it wrote. Nothing that the command does is an error here."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        return CommandResult(problem="not found")
    except subprocess.TimeoutExpired as late:
        partly = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else ""
        return CommandResult(partly, f"no answer within {timeout:g} s")
    except OSError as error:
        return CommandResult(problem=error.strerror or str(error))
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        return CommandResult(done.stdout, f"exit status {done.returncode}" + (f": {said[-1]}" if said else ""))
    return CommandResult(done.stdout)


def may_open(path: Path) -> bool:
    """Tell whether this user may read and write a device file."""
    return os.access(path, os.R_OK | os.W_OK)


def torch_folder() -> Path | None:
    """Return where torch is installed, without importing it."""
    spec = importlib.util.find_spec("torch")
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def allowed_cores() -> int:
    """Return the cores that the scheduler gives this process; a cgroup's quota is not counted."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class System:
    """The machine as detection sees it: files under a root, commands, and what the process itself may use."""

    root: Path = Path("/")
    run: Callable[[Sequence[str]], CommandResult] = run_command
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    may_open: Callable[[Path], bool] = may_open
    torch_folder: Callable[[], Path | None] = torch_folder
    allowed_cores: Callable[[], int] = allowed_cores
    prefix: str = sys.prefix  # of the Python environment

    def path(self, absolute: str) -> Path:
        """Return where an absolute path lies under the root."""
        return self.root / absolute.lstrip("/")

    def read(self, absolute: str) -> str | None:
        """Return a file's text without the white space around it; None where it cannot be read."""
        try:
            return self.path(absolute).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def glob(self, pattern: str) -> list[str]:
        """Return the absolute paths that match a pattern, in order of name."""
        return sorted(f"/{path.relative_to(self.root)}" for path in self.root.glob(pattern.lstrip("/")))

    def tool(self, name: str, folder: str) -> str:
        """Return a tool's path in its usual folder, or its bare name to be looked for on the PATH."""
        usual = self.path(f"{folder}/{name}")
        return str(usual) if usual.exists() else name
