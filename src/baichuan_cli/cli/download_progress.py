"""Showing how a download goes: bars on a terminal, a line a file elsewhere, nothing when asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from baichuan_cli.cli.download_report import file_size
from baichuan_cli.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from baichuan_cli.hub.fetch import Listener
    from baichuan_cli.hub.source import RemoteFile


class Silent:
    """Say only what went wrong."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def position(self, file: RemoteFile, byte: int) -> None:
        """Say nothing."""

    def again(self, file: RemoteFile, problem: str) -> None:
        """Warn that a file arrived damaged."""
        self._out.warning(f"{file.path} arrived damaged and is fetched again: {problem}")

    def finished(self, file: RemoteFile) -> None:
        """Say nothing."""


class Lines(Silent):
    """Say a line when a file is there."""

    def __init__(self, out: Output, total: int) -> None:
        super().__init__(out)
        self._left = total

    def finished(self, file: RemoteFile) -> None:
        """Name the file and how many are left."""
        self._left -= 1
        left = f"  ({self._left} to go)" if self._left else ""
        self._out.note(f"{file.path}  {file_size(file.size)}{left}")


class Bars(Silent):
    """Show a bar for everything that is to come and one for each file under way.

    What an earlier run has left is no part of the first bar: it would count as very fast.
    """

    def __init__(self, out: Output, bars: Progress, files: Sequence[RemoteFile]) -> None:
        super().__init__(out)
        self._bars = bars
        self._size = sum(file.size or 0 for file in files)
        self._starts: dict[str, int] = {}
        self._positions: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._total = bars.add_task("total", total=self._size)

    def position(self, file: RemoteFile, byte: int) -> None:
        """Move the bars."""
        if file.path not in self._tasks:
            self._tasks[file.path] = self._bars.add_task(file.path, total=file.size, completed=byte)
        self._bars.update(self._tasks[file.path], completed=byte)
        self._starts[file.path] = min(byte, self._starts.get(file.path, byte))
        self._positions[file.path] = byte
        start, done = sum(self._starts.copy().values()), sum(self._positions.copy().values())
        self._bars.update(self._total, total=self._size - start, completed=done - start)

    def finished(self, file: RemoteFile) -> None:
        """Take the file's bar away."""
        if file.path in self._tasks:
            self._bars.remove_task(self._tasks[file.path])


@contextmanager
def listening(out: Output, files: Sequence[RemoteFile], *, quiet: bool) -> Iterator[Listener]:
    """Give what shows the download of these files."""
    if quiet:
        yield Silent(out)
    elif out.watched:
        with out.byte_progress() as bars:
            yield Bars(out, bars, files)
    else:
        yield Lines(out, len(files))
