"""What vLLM does while it starts, told from its log."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

#: Pattern of a line and what it says, for the logs of 0.5.0 to 0.33; a group is how far it has come.
_STAGES: tuple[tuple[str, str], ...] = (
    (r"Loading (?:safetensors|pt) checkpoint shards:\s+(\d+)% Completed", "loading weights {} %"),
    (r"Starting to load model|Loading model weights|Loading weights took", "loading weights"),
    (r"Initializing a[n ]?.*LLM engine", "starting the engine"),
    (r"Dynamo bytecode transform|Compiling a graph|Start compiling|AOT compil|torch\.compile took", "compiling"),
    (r"Capturing (?:the model for )?CUDA graphs?|Capturing cudagraphs|Graph capturing", "capturing graphs"),
    (r"KV cache size|# (?:GPU|CPU) blocks", "making room for the KV cache"),
    (r"Started server process|Starting vLLM (?:API )?server", "starting the server"),
)
_COMPILED = tuple((re.compile(pattern), text) for pattern, text in _STAGES)


def stage(line: str) -> str | None:
    """Return what a line of vLLM's log says of its start; None where it says nothing."""
    for pattern, text in _COMPILED:
        if match := pattern.search(line):
            return text.format(*match.groups())
    return None


@dataclass(slots=True)
class LogReader:
    """Reads what is added to a log file, line by line."""

    path: Path
    _position: int = field(default=0, init=False)
    _rest: bytes = field(default=b"", init=False)

    def lines(self) -> list[str]:
        """Return the lines that were finished since the last call.

        A progress bar ends its lines with a carriage return. A file that has become shorter was emptied by a rotation
        of logs, and is read from its beginning.
        """
        with self.path.open("rb") as file:
            if file.seek(0, 2) < self._position:
                self._position, self._rest = 0, b""
            file.seek(self._position)
            new = file.read()
        self._position += len(new)
        *whole, self._rest = re.split(rb"[\r\n]", self._rest + new)
        return [line.decode("utf-8", "replace") for line in whole if line.strip()]
