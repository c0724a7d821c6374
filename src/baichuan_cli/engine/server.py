"""vLLM's OpenAI server as a child process.

    with Server.start(plan, private_options(), on_progress=print) as server:
        server.url, server.model_name, server.api_key

The child is kept by `keeper.py`: when this process ends, in whatever way, all of vLLM ends.
"""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from baichuan_cli import paths
from baichuan_cli.atomic_file import replace_file
from baichuan_cli.engine.failures import server_failure
from baichuan_cli.engine.kept import KeptProcess
from baichuan_cli.engine.log import new_log_path
from baichuan_cli.engine.ports import free_port, require_free_port
from baichuan_cli.engine.readiness import healthy, require_answer
from baichuan_cli.engine.stages import LogReader, stage
from baichuan_cli.errors import BcliError
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.render import environment, headless, server_command
from baichuan_cli.plan.serving import ServeOptions, generation_config, plan_server

_END_SECONDS = 15.0  # in which a server that broke off an answer has ended, if it ends at all
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

    def __init__(self, plan: Plan, options: ServeOptions, log_path: Path) -> None:
        names = plan.server["served_model_name"].value
        assert isinstance(names, tuple)
        self.url = options.url
        self.model_name = str(names[0])
        self.api_key = options.api_key
        self.log_path = log_path
        self.log = LogReader(log_path)
        command = [*server_command(plan), *options.extra_arguments]
        # On the command line vLLM would write the key into its log.
        self._process = KeptProcess(command, {**environment(plan), "VLLM_API_KEY": options.api_key}, log_path)
        self._headless = headless(plan)

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
        server = cls.launch(plan, options)
        try:
            server.wait_until_ready(on_progress=on_progress, on_line=on_line)
        except BaseException:
            server.stop()
            raise
        return server

    @classmethod
    def launch(cls, plan: Plan, options: ServeOptions, *, called: str = "") -> Server:
        """Start a server and return it at once, long before it is ready.

        Args:
            plan: as for `start`.
            options: as for `start`.
            called: what to add to the name of its log.

        Raises:
            BcliError: the port is taken.
        """
        if not headless(plan):
            require_free_port(options.host, options.port)
        if not plan.server:
            plan = plan_server(plan, options, paths.state_dir())
        _write_generation_config(plan)
        return cls(plan, options, new_log_path(paths.state_dir(), f"serve-{Path(plan.model.name).name}{called}"))

    @property
    def log_paths(self) -> tuple[Path, ...]:
        """Return where vLLM writes."""
        return (self.log_path,)

    def poll(self, within: float = 0) -> int | None:
        """Return vLLM's exit code, 128 and the signal for one that was killed; None if it runs on for some seconds."""
        return self._process.poll(within)

    def failure(self) -> BcliError:
        """Return why a server that has ended did so."""
        return server_failure(f"its server {self._process.how_it_ended()}", self.log_path)

    def let_go(self) -> None:
        """Have vLLM ended, without waiting for the end."""
        self._process.let_go()

    def stop(self) -> None:
        """End vLLM and all its processes within 15 seconds; nothing happens when it has ended already.

        A second Ctrl-C, or whatever else is raised while this waits, ends it at once.
        """
        self._process.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_ready(self, *, on_progress: Callable[[str], None], on_line: Callable[[str], None]) -> None:
        """Return when the server has given an answer; one that only computes for another machine never does.

        Raises:
            BcliError: vLLM ended or does not answer.
        """
        if self._headless:
            return
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
            require_answer(self.url, self.model_name, self.api_key, self.log_path)
        except (OSError, http.client.HTTPException) as error:
            if self.poll(_END_SECONDS) is not None:
                raise self.failure() from error
            raise server_failure(f"its server does not answer: {error}", self.log_path) from error


def _write_generation_config(plan: Plan) -> None:
    folder = plan.server.get("generation_config")
    if folder is not None:
        path = Path(str(folder.value)) / "generation_config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(generation_config(plan), indent=2).encode())
