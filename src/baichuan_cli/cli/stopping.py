"""What Ctrl-C becomes where there is something to say about it; elsewhere bcli just ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from baichuan_cli.errors import BcliError, ExitCode


@contextmanager
def stopping(kept: str = "", hint: str = "") -> Iterator[None]:
    """Turn Ctrl-C within the block into an error that says what is kept, as a sentence, and how to go on.

    Raises:
        BcliError: the person stopped it.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise BcliError(f"Stopped. {kept}".rstrip(), hint=hint, exit_code=ExitCode.INTERRUPTED) from None
