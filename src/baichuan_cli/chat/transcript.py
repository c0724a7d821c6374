"""The file of one conversation: every event is appended as it happens, so that nothing waits for an orderly end.

The kernel keeps what a killed process has written. A kill in the middle of a write leaves at most one line cut short,
which is taken off when the conversation is opened again. At the end of every turn the disk is waited for, so that a
power failure takes back no more than the answer under way.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from pydantic import ValidationError

from baichuan_cli.atomic_file import append_whole
from baichuan_cli.chat.conversation import Conversation, begin
from baichuan_cli.chat.events import Answered, Asked, Begun, Event, from_line, to_line
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.file_lock import try_lock

SUFFIX = ".jsonl"


class Transcript:
    """A conversation and the file that keeps it.

    The file is made with the first question: who leaves without a word leaves nothing behind.

    Args:
        conversation: how it stands.
        folder: where the file of a new conversation is made; None keeps nothing.
    """

    def __init__(self, conversation: Conversation, folder: Path | None) -> None:
        self.conversation = conversation
        self.path: Path | None = None
        self._folder = folder
        self._fd: int | None = None
        begun = Begun(at=time.strftime("%Y-%m-%dT%H:%M:%S%z"), model=conversation.model, url=conversation.url)
        self._waiting: list[Event] = [begun]

    @property
    def name(self) -> str | None:
        """Return what the conversation is resumed by, or None while nothing is kept of it."""
        return self.path.stem if self.path else None

    def record(self, event: Event) -> None:
        """Let something happen, and keep it.

        Raises:
            BcliError: the disk is full or fails. It has happened all the same, and is kept with the next event.
        """
        self.conversation = self.conversation.after(event)
        if self._folder is None:
            return
        self._waiting.append(event)
        if self._fd is None and not isinstance(event, Asked):
            return
        try:
            if self._fd is None:
                self.path, self._fd = _create(self._folder)
            append_whole(self._fd, b"".join(map(to_line, self._waiting)))
            self._waiting.clear()
            if not isinstance(event, Answered) or event.finish is not None:
                os.fsync(self._fd)
        except OSError as error:
            raise BcliError(
                f"The conversation cannot be written to {self.path or self._folder}: {error.strerror}.",
                hint="Make room, and go on: what is missing there is written with the next turn.",
                exit_code=ExitCode.OUTPUT,
            ) from error

    def successor(self) -> Transcript:
        """Return an empty conversation with the same model, to be kept in the same folder."""
        old = self.conversation
        return Transcript(Conversation(old.model, old.url), self._folder)

    def close(self) -> None:
        """Close the file, which gives up its lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @classmethod
    def resume(cls, path: Path) -> Transcript:
        """Open the file of an earlier conversation, to go on with it.

        Raises:
            BcliError: another process has it open, or it is no conversation of this version of bcli.
        """
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            if try_lock(fd) == "taken":
                raise BcliError(
                    f"The conversation {path.stem} is open in another bcli.",
                    hint="Close it there, or begin a new one: bcli chat",
                    exit_code=ExitCode.OUTPUT,
                )
            with open(fd, "rb", closefd=False) as file:
                content = file.read()
            transcript = cls(read_conversation(path, content), path.parent)
            _mend_end(fd, content)
        except BaseException:
            os.close(fd)
            raise
        transcript.path, transcript._fd = path, fd
        transcript._waiting.clear()
        return transcript


def read_conversation(path: Path, content: bytes) -> Conversation:
    """Return the conversation that a file holds; a last line that was cut short does not count.

    Raises:
        BcliError: the file holds something else; the line is named.
    """
    conversation = None
    whole = content[: content.rfind(b"\n") + 1] + _open_end(content)
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            event = from_line(line)
            conversation = conversation.after(event) if conversation else begin(event)
        except ValueError as error:
            why = str(error.errors()[0]["msg"] if isinstance(error, ValidationError) else error)
            raise _unreadable(path, f"line {number}: {why}") from None
    if conversation is None:
        raise _unreadable(path, "it is empty")
    return conversation


def _unreadable(path: Path, why: str) -> BcliError:
    return BcliError(
        f"{path} is no conversation that this version of bcli can read: {why}.",
        hint="It was not changed. Past conversations: bcli chat --list",
        exit_code=ExitCode.INVALID,
    )


def _open_end(content: bytes) -> bytes:
    """Return the last line if it lacks nothing but its newline, and nothing otherwise."""
    tail = content[content.rfind(b"\n") + 1 :]
    try:
        from_line(tail)
    except ValidationError:
        return b""
    return tail


def _mend_end(fd: int, content: bytes) -> None:
    if _open_end(content):
        os.write(fd, b"\n")
    else:
        os.ftruncate(fd, content.rfind(b"\n") + 1)


def _create(folder: Path) -> tuple[Path, int]:
    """Make a file of a new name, by the time of day, that only its owner can read; return it open and locked."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = time.strftime("%Y%m%d-%H%M%S")
    number = 1
    while True:
        path = folder / (stem + (f"-{number}" if number > 1 else "") + SUFFIX)
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            number += 1
            continue
        try_lock(fd)
        return path, fd
