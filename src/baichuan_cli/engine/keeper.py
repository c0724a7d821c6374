"""Stand between bcli and vLLM, so that no part of vLLM outlives bcli, however bcli ends.

    python keeper.py COMMAND…

Standard input is a pipe whose other end only bcli holds: when it closes, because bcli let go of it or was killed,
vLLM is stopped. vLLM's engine runs in processes of its own, which an end of the first one alone would leave behind;
all of them are in one process group, and that is what is signalled. Exits with vLLM's code, or 128 and the signal that
killed it.

A program of its own that imports nothing of bcli, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

#: Sent by a bcli that waits no longer: kill at once.
HURRY = signal.SIGUSR1

#: Seconds that vLLM has to end by itself after SIGTERM. systemd and Docker wait 90 and 10 before they kill.
_PATIENCE = 9.0
_GRACE = 1.0  # seconds for what the first process has left behind, after a SIGTERM of its own
_STEP = 0.02  # seconds between two looks at whether a process has ended


def keep(command: list[str]) -> int:
    """Run a command until it ends or nobody wants it any more; return its exit code."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    asked_to_stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked_to_stop.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    hurried: list[int] = []
    signal.signal(HURRY, lambda number, _: hurried.append(number))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while child.poll() is None and not asked_to_stop:
        readable, _, _ = select.select([sys.stdin, woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
        if sys.stdin in readable and not os.read(sys.stdin.fileno(), 4096):
            break
    _end(child, lambda: bool(hurried))
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _end(child: subprocess.Popen[bytes], hurried: Callable[[], bool]) -> None:
    """Stop the command and everything it has started, politely first."""
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
        _wait(lambda: hurried() or child.poll() is not None, _PATIENCE)
    if _signal_group(child.pid, signal.SIGTERM):
        _wait(lambda: hurried() or (child.poll() is not None and not _signal_group(child.pid, 0)), _GRACE)
        _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to what is left of a process group; tell whether anything was."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
        return True
    return False


def _wait(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(_STEP)


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
