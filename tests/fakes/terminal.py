"""A terminal for a real process: what it writes, piece by piece, and what a person would see of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

_PARTS = re.compile(r"(\n|\x1b\[[0-9;?]*[A-Za-z])")


class Terminal:
    """A process whose three standard streams are one terminal, which also is its controlling terminal.

    Attributes:
        process: it leads a process group of its own.
        descriptor: our end of the terminal.
        pieces: what was read at a time.
    """

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.pieces: list[bytes] = []
        self.descriptor = descriptor

    def read(self) -> Iterator[bytes]:
        """Yield what the process writes, until it has closed the terminal."""
        while True:
            try:
                piece = os.read(self.descriptor, 65536)
            except OSError:  # how Linux says that the other side is closed
                return
            self.pieces.append(piece)
            yield piece

    def type(self, keys: bytes) -> None:
        """Press keys; b"\\x03" is Ctrl-C."""
        os.write(self.descriptor, keys)

    def screen(self) -> list[str]:
        """Return the lines that are left on the screen, without colours and without what was erased again."""
        lines, row = [""], 0
        # The terminal's echo of Ctrl-C may come between the bytes of a character.
        written = b"".join(self.pieces).decode(errors="replace").replace("\r", "")
        for part in _PARTS.split(written):
            if part == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            elif part == "\x1b[1A":
                row -= 1
            elif part == "\x1b[2K":
                lines[row] = ""
            elif not part.startswith("\x1b"):
                lines[row] += part
        return [line for line in lines if line]


@contextmanager
def on_terminal(
    command: Sequence[str | os.PathLike[str]], environment: Mapping[str, str], *, columns: int = 80, lines: int = 24
) -> Iterator[Terminal]:
    """Start a process on a terminal of some size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        ["setsid", "--ctty", *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
