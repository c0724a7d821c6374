"""Downloading a model into the store: what is to be done, whether the disk has room for it, and doing it.

A model counts as downloaded once its record says `complete`; until then nothing offers it for use, and the next
download of it continues where this one stopped.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.digest import digest_of
from baichuan_cli.hub.fetch import Listener, fetch_file, unfinished_path
from baichuan_cli.hub.manifest import FileRecord, Manifest
from baichuan_cli.hub.source import Listing, RemoteFile, Source


@dataclass(frozen=True, slots=True)
class Job:
    """Files to bring from a source into a folder."""

    source: Source
    listing: Listing
    files: tuple[RemoteFile, ...]
    folder: Path
    present: Mapping[str, FileRecord]  # those of the files that are there already, by path

    @property
    def missing(self) -> tuple[RemoteFile, ...]:
        """Return the files that are still to come, whole or in part."""
        return tuple(file for file in self.files if file.path not in self.present)

    @property
    def total_bytes(self) -> int:
        """Return the size of all files, those that are there included; a file of unknown size counts nothing."""
        return sum(file.size or 0 for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """Return how many bytes are still to come."""
        return sum(
            max(0, (file.size or 0) - max(0, _size(unfinished_path(self.folder / file.path, self.listing, file))))
            for file in self.missing
        )

    @property
    def free_bytes(self) -> int:
        """Return how many bytes are free where the files go."""
        return shutil.disk_usage(_existing_parent(self.folder)).free


def make_job(
    source: Source, listing: Listing, files: Sequence[RemoteFile], folder: Path, manifest: Manifest | None
) -> Job:
    """Look at what is there already.

    Args:
        source: where the files come from.
        listing: the repository.
        files: those that are wanted.
        folder: where they go.
        manifest: the record of an earlier download. The files it speaks of were checked before they were recorded and
            are taken by their size; any other file that lies there is hashed.
    """
    present = {}
    for file in files:
        if record := _recorded(folder, listing, file, manifest) or _hashed(folder / file.path, file):
            present[file.path] = record
    return Job(source, listing, tuple(files), folder, present)


def require_space(job: Job, extra_bytes: int) -> None:
    """Make sure that the disk has room for the files, and for what else will be written.

    Raises:
        BcliError: it has not.
    """
    needed, free = job.missing_bytes + extra_bytes, job.free_bytes
    if needed > free:
        raise BcliError(
            f"The disk is too small: {needed:,} bytes are needed and {free:,} are free in {job.folder}.",
            hint="Free some space, see what can go with `bcli models ls`, or set BCLI_HOME to a larger disk.",
            exit_code=ExitCode.REFUSED,
        )


def run(
    job: Job, listener: Listener, keep: Callable[[Mapping[str, FileRecord]], None], *, workers: int
) -> dict[str, FileRecord]:
    """Bring the missing files, several at a time, and return the size and hash of every file.

    Args:
        job: what to do.
        listener: told how far every file is.
        keep: told about all files that are there, each time one has come.
        workers: how many files come at a time.

    Raises:
        BcliError: a file could not be had, or was damaged twice; what is there is kept.
        KeyboardInterrupt: the person stopped it; what is there is kept.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    records = dict(job.present)
    stop = threading.Event()

    def fetch(file: RemoteFile) -> tuple[str, FileRecord]:
        return file.path, fetch_file(job.source, job.listing, file, job.folder, listener, stop)

    # This pool's threads are daemons: one that waits for a silent server does not hold up whoever pressed Ctrl-C.
    with ThreadPool(workers) as pool:
        try:
            for path, record in pool.imap_unordered(fetch, job.missing):
                records[path] = record
                keep(records)
        finally:
            stop.set()  # nothing is left to stop unless something went wrong
    return records


def _recorded(folder: Path, listing: Listing, file: RemoteFile, manifest: Manifest | None) -> FileRecord | None:
    """Return the record of a file that an earlier download brought, where it still is what the source has."""
    came = manifest.files.get(file.path) if manifest else None
    if manifest is None or came is None:
        return None
    same_commit = bool(listing.revision) and manifest.revision == listing.revision
    if not (came.sha256 and came.sha256 == file.sha256) and not (same_commit and came.size == file.size):
        return None
    now = manifest.expected()[file.path]  # bcli may have patched it since
    return came if _size(folder / file.path) == now.size else None


def _hashed(path: Path, file: RemoteFile) -> FileRecord | None:
    """Return the record of a file that is there although nothing speaks of it, where its hash is right."""
    if not (file.sha256 or file.git_sha1) or not path.is_file() or _size(path) != file.size:
        return None
    digest = digest_of(path, file)
    return None if digest.mismatch() else FileRecord(size=_size(path), sha256=digest.sha256)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _existing_parent(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
