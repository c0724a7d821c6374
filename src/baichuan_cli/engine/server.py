"""vLLM's OpenAI server as a child process.

    with Server.start(plan, private_options(), on_progress=print) as server:
        server.url, server.model_name, server.api_key

The child is kept by `keeper.py`: when this process ends, in whatever way, all of vLLM ends.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from baichuan_cli import paths
from baichuan_cli.atomic_file import replace_file
from baichuan_cli.engine import keeper, notify
from baichuan_cli.engine.failures import server_failure
from baichuan_cli.engine.log import new_log_path
from baichuan_cli.engine.ports import free_port, require_free_port
from baichuan_cli.engine.readiness import healthy, require_answer
from baichuan_cli.engine.stages import LogReader, stage
from baichuan_cli.errors import BcliError
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.render import environment, headless, server_command
from baichuan_cli.plan.serving import ServeOptions, generation_config, plan_server

_STOP_SECONDS = 15.0
_LOOK_SECONDS = 0.1  # between two looks at a server that is starting


def private_options() -> ServeOptions:
    """Return options for a server that only this process uses: a free port, a key of its own, no line per request."""
    return ServeOptions(port=free_port(), api_key=secrets.token_urlsafe(24), access_log=False)


class Server:
    """A running server.

    Attributes:
        url: the base URL for a client on this machine, such as `http://127.0.0.1:8000/v1`.
        model_name: the first name that the model is served under.
        api_key: what requests must carry; None where anybody may ask.
        log_path: where vLLM writes.
        log: what of it nobody has read yet.
    """

    def __init__(self, process: subprocess.Popen[bytes], plan: Plan, options: ServeOptions, log_path: Path) -> None:
        names = plan.server["served_model_name"].value
        assert isinstance(names, tuple)
        self.url = options.url
        self.model_name = str(names[0])
        self.api_key = options.api_key
        self.log_path = log_path
        self.log = LogReader(log_path)
        self._process = process

    @classmethod
    def start(
        cls,
        plan: Plan,
        options: ServeOptions,
        *,
        on_progress: Callable[[str], None],
        on_line: Callable[[str], None] = lambda _: None,
    ) -> Server:
        """Start a server and return it once it has given its first answer.

        A machine that only computes for a server on another one has no answers of its own; it is returned at once.

        Args:
            plan: made for the purpose `server`, without refusals; it may have gone through `plan_server` already.
            options: where it listens, and what else is asked of the server.
            on_progress: told what vLLM does, a few words at a time: "loading weights 50 %".
            on_line: told every line of vLLM's log.

        Raises:
            BcliError: the port is taken, vLLM ended or does not answer; nothing is left running.
        """
        if not headless(plan):
            require_free_port(options.host, options.port)
        if not plan.server:
            plan = plan_server(plan, options, paths.state_dir())
        _write_generation_config(plan)
        log_path = new_log_path(paths.state_dir(), f"serve-{Path(plan.model.name).name}")
        server = cls(_spawn(plan, options, log_path), plan, options, log_path)
        if headless(plan):
            return server
        try:
            server._wait_until_ready(on_progress, on_line)
        except BaseException:
            server.stop()
            raise
        return server

    def poll(self, within: float = 0) -> int | None:
        """Return vLLM's exit code, 128 and the signal for one that was killed; None if it runs on for some seconds."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            return None

    def failure(self) -> BcliError:
        """Return why a server that has ended did so."""
        return server_failure(f"its server {_ended(self._process.wait())}", self.log_path)

    def stop(self) -> None:
        """End vLLM and all its processes within 15 seconds; nothing happens when it has ended already.

        A second Ctrl-C, or whatever else is raised while this waits, ends it at once.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except BaseException:
            self._process.send_signal(keeper.HURRY)
            self._process.wait()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self, on_progress: Callable[[str], None], on_line: Callable[[str], None]) -> None:
        told = "importing vLLM"
        on_progress(told)
        up = False
        while not up:
            time.sleep(_LOOK_SECONDS)
            if self.poll() is not None:
                raise self.failure()
            up = healthy(self.url)
            for line in self.log.lines():
                on_line(line)
                if (now := stage(line)) and now != told:
                    told = now
                    on_progress(told)
        on_progress("first answer")
        try:
            require_answer(self.url, self.model_name, self.api_key)
        except (OSError, http.client.HTTPException) as error:
            if self.poll(_STOP_SECONDS) is not None:  # a server that broke off ends in a moment, and then tells why
                raise self.failure() from error
            raise server_failure(f"its server does not answer: {error}", self.log_path) from error


def _ended(code: int) -> str:
    """Return in words how a process ended, from its exit code or 128 and a signal."""
    known = {128 + each.value: each for each in signal.Signals}
    if code not in known:
        return f"ended with exit code {code}"
    if known[code] is signal.SIGKILL:
        return "was killed. If memory ran out, the kernel did it: dmesg | tail"
    return f"was ended by {known[code].name}"


def _spawn(plan: Plan, options: ServeOptions, log_path: Path) -> subprocess.Popen[bytes]:
    variables = os.environ | environment(plan)
    for name in ("VLLM_API_KEY", notify.VARIABLE):  # only bcli speaks to systemd
        variables.pop(name, None)
    if options.api_key is not None:
        variables["VLLM_API_KEY"] = options.api_key  # on the command line vLLM would write it into its log
    log_path.touch(mode=0o600)
    with log_path.open("ab") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", keeper.__file__),
                *(sys.executable, *server_command(plan), *options.extra_arguments),
            ],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=variables,
            start_new_session=True,
        )


def _write_generation_config(plan: Plan) -> None:
    folder = plan.server.get("generation_config")
    if folder is not None:
        path = Path(str(folder.value)) / "generation_config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(generation_config(plan), indent=2).encode())
