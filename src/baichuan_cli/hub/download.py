"""Downloading a model into the store: what is to be done, whether the disk has room for it, and doing it.

A model counts as downloaded once its record says `complete`; until then nothing offers it for use, and the next
download of it continues where this one stopped.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.digest import digest_of
from baichuan_cli.hub.fetch import Listener, fetch_file, unfinished_path
from baichuan_cli.hub.manifest import FileRecord
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
    def total_bytes(self) -> int:
        """Return the size of all files, those that are there included; a file of unknown size counts nothing."""
        return sum(file.size or 0 for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """Return how many bytes are still to come."""
        return sum(
            max(0, (file.size or 0) - _size(unfinished_path(self.folder / file.path, self.listing, file)))
            for file in self.files
            if file.path not in self.present
        )

    @property
    def free_bytes(self) -> int:
        """Return how many bytes are free where the files go."""
        return shutil.disk_usage(_existing_parent(self.folder)).free


def make_job(
    source: Source,
    listing: Listing,
    files: Sequence[RemoteFile],
    folder: Path,
    known: Mapping[str, FileRecord],
) -> Job:
    """Look at what is there already.

    Args:
        source: where the files come from.
        listing: the repository.
        files: those that are wanted.
        folder: where they go.
        known: what an earlier download recorded about files that it finished; other files are hashed.
    """
    present = {}
    for file in files:
        if record := _finished(folder / file.path, file, known.get(file.path)):
            present[file.path] = record
    return Job(source, listing, tuple(files), folder, present)


def require_space(job: Job, *, extra_bytes: int = 0) -> None:
    """Make sure that the disk has room.

    Args:
        job: what is to come.
        extra_bytes: what else will be written.

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


def run(job: Job, listener: Listener, *, workers: int) -> dict[str, FileRecord]:
    """Bring the missing files, several at a time, and return the size and hash of every file.

    Raises:
        BcliError: a file could not be had, or was damaged twice; what is there is kept. Ctrl-C as well.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    records = dict(job.present)
    missing = [file for file in job.files if file.path not in records]
    for path, record in records.items():
        listener.finished(next(file for file in job.files if file.path == path), record)
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="download") as pool:
        futures = {
            pool.submit(fetch_file, job.source, job.listing, file, job.folder, listener, stop): file
            for file in missing
        }
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                records[futures[future].path] = future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return records


def _finished(path: Path, file: RemoteFile, known: FileRecord | None) -> FileRecord | None:
    """Return the record of a file that is there as the source has it.

    A file gets its name only once it is whole and checked, so one that an earlier download recorded is taken by its
    size. Anything else is hashed, and a file that nothing is known of is fetched.
    """
    if not path.is_file() or (file.size is not None and _size(path) != file.size):
        return None
    if known is not None and known.size == _size(path) and known.sha256 and known.sha256 == file.sha256:
        return known
    digest = digest_of(path, file)
    if digest.mismatch() or not (file.sha256 or file.git_sha1 or (known and known.sha256 == digest.sha256)):
        return None
    return FileRecord(size=_size(path), sha256=digest.sha256)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _existing_parent(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
