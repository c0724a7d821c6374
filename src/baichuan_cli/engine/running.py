"""What a running service can be asked, whether it is one server or several behind a router."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from baichuan_cli.engine.stages import LogReader
from baichuan_cli.errors import BcliError


class Running(Protocol):
    """A service that is ready; `Server` and `Replicas` say what each part means."""

    url: str
    model_name: str
    api_key: str | None
    log: LogReader

    @property
    def log_paths(self) -> Sequence[Path]:
        """Return where all its processes write."""

    def poll(self) -> int | None:
        """Return an exit code once it has ended."""

    def failure(self) -> BcliError:
        """Return why it has ended."""

    def __enter__(self) -> Running: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
