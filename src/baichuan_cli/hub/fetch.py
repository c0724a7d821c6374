"""Fetching one file: resumed where it stopped, hashed as it arrives, and never under its name before it is right.

An unfinished file is called `NAME.ID.incomplete`, where ID tells its content, so that a newer version of a file never
continues an older one.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from pathlib import Path
from typing import BinaryIO, Protocol

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.digest import Digest
from baichuan_cli.hub.manifest import FileRecord
from baichuan_cli.hub.patience import Patience, StoppedError
from baichuan_cli.hub.source import Listing, RangeRefusedError, RemoteFile, Source, SourceError, TemporaryProblem
from baichuan_cli.hub.structure import problem_with

UNFINISHED_SUFFIX = ".incomplete"
_IDENTITY_LENGTH = 12

_KEPT = "What has come so far is kept: run the same command again, or take another --source."
BLOCK_BYTES = 1 << 18  # a broken connection costs at most this much


class Listener(Protocol):
    """Who wants to know how a download goes. Called from several threads at once."""

    def position(self, file: RemoteFile, byte: int) -> None:
        """Take note of how far a file is; it can go back where a source cannot resume."""

    def again(self, file: RemoteFile, problem: str) -> None:
        """Take note that a file arrived damaged and is fetched once more."""

    def finished(self, file: RemoteFile) -> None:
        """Take note that a file is there and right."""


def fetch_file(
    source: Source, listing: Listing, file: RemoteFile, folder: Path, listener: Listener, stop: threading.Event
) -> FileRecord:
    """Fetch a file into a folder and check it; one that arrives damaged is fetched a second time.

    Raises:
        SourceError: the source does not give it.
        BcliError: it arrived damaged twice.
        StoppedError: `stop` was set; what is there is kept.
        OSError: the disk is full, or the folder cannot be written.
    """
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = unfinished_path(target, listing, file)
    for try_again in (True, False):
        try:
            digest = _transfer(source, listing, file, partial, listener, stop)
        except SourceError as error:
            raise SourceError(
                f"{file.path} did not come from {source.name}: {error.reason}", hint=error.hint or _KEPT
            ) from None
        problem = digest.mismatch() or problem_with(partial, file)
        if not problem:
            record = FileRecord(size=partial.stat().st_size, sha256=digest.sha256)
            partial.replace(target)
            _remove_stale(target)
            listener.finished(file)
            return record
        partial.unlink()
        if try_again:
            listener.again(file, problem)
    raise BcliError(
        f"{file.path} from {source.name} arrived damaged twice: {problem}.",
        hint="Run the command again, or take another --source. The other files are kept.",
        exit_code=ExitCode.INVALID,
    )


def unfinished_path(target: Path, listing: Listing, file: RemoteFile) -> Path:
    """Return what a file is called until it is whole."""
    known_by = file.sha256 or file.git_sha1 or f"{listing.repository} {listing.revision} {file.size}"
    identity = hashlib.sha256(known_by.encode()).hexdigest()[:_IDENTITY_LENGTH]
    return target.with_name(f"{target.name}.{identity}{UNFINISHED_SUFFIX}")


def _remove_stale(target: Path) -> None:
    """Remove what is left of other versions of a file, but not what is on its way to `NAME.index.json`."""
    version = re.compile(rf"{re.escape(target.name)}\.[0-9a-f]{{{_IDENTITY_LENGTH}}}{re.escape(UNFINISHED_SUFFIX)}")
    for stale in target.parent.iterdir():
        if version.fullmatch(stale.name):
            stale.unlink(missing_ok=True)


def _transfer(
    source: Source, listing: Listing, file: RemoteFile, partial: Path, listener: Listener, stop: threading.Event
) -> Digest:
    """Bring a file to its full length, whatever happens on the way, and return the hash of all of it."""
    patience = Patience(stop)
    furthest = 0
    with _open_to_resume(partial) as out:
        written = _Written(file, out)
        if file.size is not None and written.position > file.size:
            written.restart()
        listener.position(file, written.position)
        while written.position != file.size:
            try:
                with source.open(listing, file, written.position) as content:
                    if content.start != written.position:
                        written.restart()
                    while count := content.readinto(written.buffer):
                        if stop.is_set():
                            raise StoppedError
                        written.add(count)
                        listener.position(file, written.position)
                        if file.size is not None and written.position > file.size:
                            break  # it will not become right, and the disk was asked for no more
                        if written.position > furthest:
                            furthest = written.position
                            patience.restore()
                if file.size is None or written.position >= file.size:
                    break
                raise TemporaryProblem(f"{file.path} ended {file.size - written.position:,} bytes early")
            except RangeRefusedError:
                if not written.position:
                    patience.wait(TemporaryProblem(f"it refuses {file.path} even from its first byte"))
                written.restart()
            except TemporaryProblem as problem:
                patience.wait(problem)
        out.flush()
        os.fsync(out.fileno())  # the name that the file gets next must not outlive its content in a power failure
    return written.digest


class _Written:
    """A file on its way to the disk, with the hash of what has been written."""

    def __init__(self, file: RemoteFile, out: BinaryIO) -> None:
        self.buffer = memoryview(bytearray(BLOCK_BYTES))
        self.digest = Digest(file)
        self.position = 0
        self._file = file
        self._out = out
        while count := out.readinto(self.buffer):  # type: ignore[attr-defined]
            self.digest.update(self.buffer[:count])
            self.position += count

    def add(self, count: int) -> None:
        """Write the first bytes of the buffer."""
        self._out.write(self.buffer[:count])
        self.digest.update(self.buffer[:count])
        self.position += count

    def restart(self) -> None:
        """Go back to the first byte."""
        self._out.seek(0)
        self._out.truncate()
        self.digest = Digest(self._file)
        self.position = 0


def _open_to_resume(path: Path) -> BinaryIO:
    path.touch()
    return path.open("r+b")
