"""`bcli web` as a person starts it, in a process that notes whenever it would leave this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from baichuan_cli.engine.ports import free_port

# Everything that Python resolves or connects to passes the audit hook, whatever library asks.
_WATCHED = """
import sys
def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host not in ("127.0.0.1", "::1", "localhost", "0.0.0.0", None):
        print("left this machine:", host, file=sys.stderr, flush=True)
sys.addaudithook(watch)
sys.argv = ["bcli", *sys.argv[1:]]
from baichuan_cli.__main__ import main
main()
"""


@dataclass
class PageProcess:
    """A page that is being served."""

    url: str
    ready: str  # the line that says so


@contextmanager
def page_process(*arguments: str, environment: Mapping[str, str] = {}) -> Iterator[PageProcess]:
    """Run `bcli web ARGUMENTS` on a free port until the block ends; it must not leave this machine."""
    port = free_port()
    command = [sys.executable, "-c", _WATCHED, "web", "--port", str(port), *arguments]
    with subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        ready = process.stderr.readline().rstrip()
        try:
            assert ready.startswith("ready"), ready + process.stderr.read()
            yield PageProcess(f"http://127.0.0.1:{port}", ready)
        finally:
            process.terminate()
        assert process.stderr.read() == ""
