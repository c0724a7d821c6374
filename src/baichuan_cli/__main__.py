"""Entry point of `bcli` and of `python -m baichuan_cli`."""

from __future__ import annotations

import codecs
import io
import os
import sys


def main() -> None:
    """Run bcli: the one place where an exception becomes a message and an exit code."""
    from baichuan_cli.cli.app import app
    from baichuan_cli.cli.errors import EXPECTED, to_bcli_error
    from baichuan_cli.cli.output import Output

    _let_every_character_through()
    try:
        app(prog_name="bcli")
    except EXPECTED as error:
        if os.environ.get("BCLI_DEBUG") == "1":
            raise
        problem = to_bcli_error(error)
        Output().error(problem)
        sys.exit(problem.exit_code)


def _let_every_character_through() -> None:
    """Let no character end a command: what a stream's encoding does not have is written as an escape.

    Where it is ASCII, UTF-8 is written, as Python does by itself for the C locale unless it is told not to.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if is_ascii else None, errors="backslashreplace")


if __name__ == "__main__":
    main()
