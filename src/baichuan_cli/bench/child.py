"""Work in a process of its own: an engine frees everything only when its process ends, and may take it down.

The process is plain Python with a pipe, not `multiprocessing`'s: that would share its tracker of semaphores with the
vLLM inside, which then warns of leaks in the terminal of the person.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_DONE = "done"


class ChildDied(Exception):
    """The process ended before its work was done.

    Args:
        exit_code: its own, or the negative number of the signal that killed it.
    """

    def __init__(self, exit_code: int) -> None:
        by = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
        super().__init__(f"the process {by}")
        self.exit_code = exit_code


def results_of(work: Callable[..., Iterator[T]], *arguments: Any) -> Iterator[T]:
    """Run a generator in a fresh process and yield what it yields, as it comes.

    Closing the iterator ends the process, and so does the end of this one, in whatever way it comes.

    Args:
        work: a function of a module, so that the process can find it.
        arguments: what can be pickled.

    Raises:
        ChildDied: the process ended, or was killed, before its work was done.
    """
    reading, writing = os.pipe()
    command = [sys.executable, "-m", __name__, str(writing)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[writing]) as process,
        os.fdopen(reading, "rb") as results,
    ):
        os.close(writing)
        assert process.stdin is not None
        try:
            process.stdin.write(pickle.dumps((work, arguments)))
            process.stdin.flush()  # it stays open: its end is how the process learns of ours
            while True:
                try:
                    kind, value = pickle.load(results)
                except (EOFError, pickle.UnpicklingError):  # the second where it died in the middle of a result
                    raise ChildDied(process.wait()) from None
                if kind == _DONE:
                    return
                yield value
        finally:
            process.terminate()  # does nothing to one that has ended


def main() -> None:
    """Do the work that stands on standard input, and write its results to the descriptor that is given."""
    work, arguments = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_bcli, daemon=True).start()
    with os.fdopen(int(sys.argv[1]), "wb") as results:
        for value in work(*arguments):
            results.write(pickle.dumps(("result", value)))
            results.flush()
        results.write(pickle.dumps((_DONE, None)))


def _end_with_bcli() -> None:
    """End this process when standard input does: whoever holds its other end is gone, and nobody wants the results."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)  # Ctrl-C reaches this process as well; what is said about it is the other one's business
