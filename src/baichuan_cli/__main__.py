"""Entry point of `bcli` and of `python -m baichuan_cli`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run bcli: the one place where an exception becomes a message and an exit code."""
    from baichuan_cli.cli.app import app
    from baichuan_cli.cli.errors import EXPECTED, to_bcli_error
    from baichuan_cli.cli.output import Output

    try:
        app(prog_name="bcli")
    except EXPECTED as error:
        if os.environ.get("BCLI_DEBUG") == "1":
            raise
        problem = to_bcli_error(error)
        Output().error(problem)
        sys.exit(problem.exit_code)


if __name__ == "__main__":
    main()
