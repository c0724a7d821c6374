"""Hashing a file while it arrives, by the names that sources know it by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from baichuan_cli.hub.source import RemoteFile

_BLOCK_BYTES = 1 << 20


class Digest:
    """The SHA-256 of a file, and git's SHA-1 where only that is known of it."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._git_sha1 = None
        if file.sha256 is None and file.git_sha1 and file.size is not None:
            self._git_sha1 = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)

    def update(self, data: bytes | memoryview) -> None:
        """Add what comes next in the file."""
        self._sha256.update(data)
        if self._git_sha1 is not None:
            self._git_sha1.update(data)

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of everything so far, in lower-case hexadecimal."""
        return self._sha256.hexdigest()

    def mismatch(self) -> str:
        """Return how the content differs from what the source promised, as a clause; empty where it does not."""
        if self._file.sha256 is not None and self.sha256 != self._file.sha256:
            return f"its SHA-256 is {self.sha256}, not {self._file.sha256}"
        if self._git_sha1 is not None and self._git_sha1.hexdigest() != self._file.git_sha1:
            return f"its git SHA-1 is {self._git_sha1.hexdigest()}, not {self._file.git_sha1}"
        return ""


def digest_of(path: Path, file: RemoteFile, on_bytes: Callable[[int], None] = lambda _: None) -> Digest:
    """Hash a file that is on the disk; `on_bytes` is called with the size of every block."""
    digest = Digest(file)
    buffer = memoryview(bytearray(_BLOCK_BYTES))
    with path.open("rb", buffering=0) as opened:
        while count := opened.readinto(buffer):
            digest.update(buffer[:count])
            on_bytes(count)
    return digest
