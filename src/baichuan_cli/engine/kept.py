"""A child process that never outlives this one: whatever it has started ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from baichuan_cli.engine import keeper, notify

_STOP_SECONDS = 15.0


class KeptProcess:
    """A running program that writes into a log.

    Args:
        command: the arguments for this Python.
        variables: set in its environment besides this process's own; None takes one away.
        log_path: where all that it writes goes, readable by its owner alone.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str | None], log_path: Path) -> None:
        changed = {**os.environ, notify.VARIABLE: None, **variables}  # only bcli speaks to systemd
        log_path.touch(mode=0o600)
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__, sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={name: value for name, value in changed.items() if value is not None},
                start_new_session=True,
            )

    def poll(self, within: float = 0) -> int | None:
        """Return the exit code, 128 and the signal where one killed it; None if it runs on for some seconds."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            return None

    def how_it_ended(self) -> str:
        """Return in words how it ended: "ended with exit code 1"."""
        code = self._process.wait()
        known = {128 + each.value: each for each in signal.Signals}
        if code not in known:
            return f"ended with exit code {code}"
        if known[code] is signal.SIGKILL:
            return "was killed. If memory ran out, the kernel did it: dmesg | tail"
        return f"was ended by {known[code].name}"

    def let_go(self) -> None:
        """Have it ended, without waiting for the end."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def stop(self) -> None:
        """End it and all it has started within 15 seconds; nothing happens when it has ended already.

        A second Ctrl-C, or whatever else is raised while this waits, ends it at once.
        """
        self.let_go()
        try:
            self._process.wait(_STOP_SECONDS)
        except BaseException:
            self._process.send_signal(keeper.HURRY)
            self._process.wait()
            raise
