"""Keep the answers of a batch: one JSON line each, written as soon as it is there.

A record goes out in one write to a descriptor in append mode, so a process that dies at any moment leaves whole lines
and at most one cut short, which the next run takes off. The kernel keeps what a killed process has written; only a
power failure can take it back, and what it takes is answered again. So the disk is waited for (fsync) once, at the
end, and not after each answer, where it would hold up the engine.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from baichuan_cli.atomic_file import append_whole
from baichuan_cli.batch.item import BatchItem
from baichuan_cli.batch.lock import open_locked
from baichuan_cli.batch.records import Record, RunInfo, encode
from baichuan_cli.batch.resume import Existing, mend_end, read_existing, without_failures
from baichuan_cli.errors import BcliError, ExitCode


class AnswerStream:
    """Records to a stream, such as standard output; there is nothing to resume."""

    answered: frozenset[str] = frozenset()

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._written = 0

    def write(self, record: Record) -> None:
        """Write one record and flush it.

        Raises:
            BcliError: the reader has gone, or the disk behind the stream is full.
        """
        try:
            self._stream.write(encode(record))
            self._stream.flush()
        except OSError as error:
            raise BcliError(
                f"Cannot write to standard output: {error.strerror}. Records that went out whole: {self._written}.",
                hint="With --output FILE an interrupted batch can be continued.",
                exit_code=ExitCode.OUTPUT,
            ) from error
        self._written += 1


class AnswerFile:
    """An open, locked answer file; made by `open_answers`.

    Attributes:
        answered: ids of the batch that were answered before this run.
        unrelated: records in the file of ids that are not in the batch.
        locked: False where the file system has no locks, so that a second process would not be stopped.
    """

    def __init__(self, path: Path, fd: int, existing: Existing, *, locked: bool) -> None:
        self.answered = existing.answered
        self.unrelated = existing.unrelated
        self.locked = locked
        self._path = path
        self._fd = fd
        self._safe = len(existing.answered)

    def write(self, record: Record) -> None:
        """Append one record, whole or not at all.

        Raises:
            BcliError: the disk is full or fails; the message says how many answers are safe.
        """
        line = encode(record)
        try:
            append_whole(self._fd, line)
        except OSError as error:
            raise _write_failed(self._path, error, self._safe) from error
        self._safe += record.get("error") is None

    def close(self) -> None:
        """Wait until the disk has everything, and give up the lock.

        Raises:
            BcliError: the disk reports now that it could not take what was written.
        """
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise BcliError(
                f"The disk did not take all of {self._path}: {error.strerror}.",
                hint="Run the same command again: it continues with what is missing.",
                exit_code=ExitCode.OUTPUT,
            ) from error
        finally:
            os.close(self._fd)

    def __enter__(self) -> AnswerFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_answers(path: Path, items: Sequence[BatchItem], run: RunInfo, *, input_path: Path | None) -> AnswerFile:
    """Open an answer file for one run: a new one, or one that an interrupted run left.

    Args:
        input_path: the batch input, which the output must not be; None where it is no file.

    Raises:
        BcliError: the file cannot be written, is the input, is in use, is not ours, or answers other requests.
    """
    try:
        return _open(path, items, run, input_path)
    except OSError as error:
        reason = f"the folder {path.parent} does not exist" if error.errno == errno.ENOENT else error.strerror
        raise BcliError(f"Cannot write to {path}: {reason}.", exit_code=ExitCode.OUTPUT) from error


def _open(path: Path, items: Sequence[BatchItem], run: RunInfo, input_path: Path | None) -> AnswerFile:
    if path.exists():
        if input_path is not None and path.samefile(input_path):
            raise BcliError(f"The output {path} is the input file.", hint="Give another --output.")
        if not path.is_file():
            raise BcliError(
                f"The output {path} is not a regular file.",
                hint="Give a file, or leave --output out and the answers go to standard output.",
            )
    target = Path(os.path.realpath(path))  # replacing a symbolic link itself would leave its target behind
    rewrite = target.with_name(f".{target.name}.bcli-rewrite")
    fd, locked = open_locked(target, path)
    try:
        rewrite.unlink(missing_ok=True)  # left by a run that was killed while it made one
        existing = read_existing(fd, path, items, run)
        mend_end(fd, existing)
        if existing.failures:
            try:
                fd = without_failures(fd, existing, rewrite, target)
            except OSError as error:
                raise _write_failed(path, error, len(existing.answered)) from error
    except BaseException:
        os.close(fd)
        raise
    return AnswerFile(path, fd, existing, locked=locked)


def _write_failed(path: Path, error: OSError, safe: int) -> BcliError:
    return BcliError(
        f"Cannot write to {path}: {error.strerror}. Answers safe in it: {safe}.",
        hint="Make room and run the same command again: it continues with what is missing.",
        exit_code=ExitCode.OUTPUT,
    )
