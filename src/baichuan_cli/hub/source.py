"""What every source of files can do, and how it says that it cannot.

A source lists a repository at a pinned revision and opens any of its files at any byte. Resuming, hashing, retrying
and checking are the same for all of them and live in `hub.fetch`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from baichuan_cli.errors import BcliError, ExitCode


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository; None where the source does not say."""

    path: str  # relative, with forward slashes
    size: int | None  # bytes
    sha256: str | None = None  # lower-case hexadecimal
    git_sha1: str | None = None  # git's name for the content: SHA-1 of b"blob SIZE\0" and the content


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repository at one commit."""

    repository: str
    revision: str  # the commit, or what else stands for this state of the files; empty where there is nothing
    files: tuple[RemoteFile, ...]


class Content(Protocol):
    """The bytes of a file from `start` on."""

    start: int  # 0 where the source could not begin further on

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer as far as there are bytes and return how many; 0 at the end.

        Raises:
            TemporaryProblem: the connection broke.
        """


class Source(Protocol):
    """A place that models come from."""

    name: str  # as in `--source`
    repository: str  # as the source calls it

    def list_files(self, revision: str | None) -> Listing:
        """List the files at a branch, tag or commit; None is the main branch.

        Raises:
            SourceError: the source does not answer, or does not have it.
        """

    def open(self, listing: Listing, file: RemoteFile, offset: int) -> AbstractContextManager[Content]:
        """Open a file at a byte.

        Raises:
            TemporaryProblem: it may work later.
            RangeRefusedError: it does not work from this byte on.
            SourceError: it will not work.
        """


class SourceError(BcliError):
    """A source cannot give what was asked for. Another one may."""

    def __init__(self, reason: str, *, hint: str = "") -> None:
        starts_with_a_word = reason.partition(" ")[0].isalpha()  # and not with the name of a file or a host
        sentence = reason[:1].upper() + reason[1:] if starts_with_a_word else reason
        super().__init__(f"{sentence}.", hint=hint, exit_code=ExitCode.NOT_FOUND)
        self.reason = reason  # a clause for a list of sources that were tried


class TemporaryProblem(Exception):  # noqa: N818 - a state of the network, not an error of the program
    """Something that often passes: a broken connection, a busy server.

    Args:
        reason: a clause, such as "the connection broke".
        retry_after: seconds that the server asks to wait.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class RangeRefusedError(Exception):
    """The source does not give the file from the wanted byte on (HTTP 416)."""
