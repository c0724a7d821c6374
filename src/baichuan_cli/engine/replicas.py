"""Several servers of one model behind one address, used like one `Server`."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from baichuan_cli import paths
from baichuan_cli.engine.log import end_of, new_log_path
from baichuan_cli.engine.ports import free_port, require_free_port
from baichuan_cli.engine.readiness import require_answer
from baichuan_cli.engine.router import require_router, router_failure, start_router
from baichuan_cli.engine.server import Server
from baichuan_cli.engine.stages import LogReader
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.serving import ServeOptions

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds before a replica is started again, doubled each time


@dataclass(slots=True)
class _Replica:
    number: int
    plan: Plan
    options: ServeOptions
    server: Server
    pause: float = _FIRST_PAUSE
    due: float | None = None  # when it is started again; None while it runs

    def launch_again(self) -> None:
        self.server.stop()
        self.server = Server.launch(self.plan, self.options, called=f"-{self.number}")
        self.due = None


class Replicas:
    """Running servers and their router.

    Attributes:
        url: the router's base URL for a client on this machine.
        model_name: the first name that the model is served under.
        api_key: what requests must carry; the router hands it on, and every server checks it.
        log_path: where the router writes; the servers' logs lie beside it.
        log: what of it nobody has read yet.
    """

    def __init__(
        self, replicas: Sequence[_Replica], options: ServeOptions, restart: Callable[[str], None] | None
    ) -> None:
        self.url = options.url
        self.api_key = options.api_key
        self.model_name = replicas[0].server.model_name
        self.log_path = new_log_path(paths.state_dir(), "serve-router")
        self._replicas = replicas
        self._restart = restart
        workers = [each.server.url.removesuffix("/v1") for each in replicas]
        self._router = start_router(options, workers, self.log_path)
        self.log = LogReader(self.log_path)

    @classmethod
    def start(
        cls,
        plans: Sequence[Plan],
        options: ServeOptions,
        *,
        on_progress: Callable[[str], None],
        on_line: Callable[[str], None] = lambda _: None,
        restart: Callable[[str], None] | None = None,
    ) -> Replicas:
        """Start a server for each plan, and the router when all have given their first answer.

        Args:
            plans: one for each replica, without refusals and without a server's settings.
            options: of the service as a whole; the replicas listen on ports of their own, for this machine alone.
            on_progress: told what they do, a few words at a time.
            on_line: told every line of their logs.
            restart: a replica that dies is started again while the others serve, and this is told of it; None: all
                end with the first that dies.

        Raises:
            BcliError: there is no vllm-router, or one of them did not start; nothing is left running.
        """
        require_router()
        require_free_port(options.host, options.port)
        inner = replace(options, host="127.0.0.1", insecure=False)
        with ExitStack() as undo:
            replicas = []
            for number, plan in enumerate(plans, start=1):
                own = replace(inner, port=free_port())
                replica = _Replica(number, plan, own, Server.launch(plan, own, called=f"-{number}"))
                undo.callback(replica.server.stop)
                undo.callback(replica.server.let_go)  # in the end all are let go before the first is waited for
                replicas.append(replica)
            for replica in replicas:
                told = f"replica {replica.number} of {len(replicas)}"
                replica.server.wait_until_ready(
                    on_progress=lambda doing, told=told: on_progress(f"{told}: {doing}"),  # type: ignore[misc]
                    on_line=on_line,
                )
            on_progress("starting the router")
            together = cls(replicas, options, restart)
            undo.pop_all()
        try:
            require_answer(together.url, together.model_name, together.api_key, together.log_path)
        except (OSError, http.client.HTTPException) as error:
            together.stop()
            message = f"vllm-router does not hand requests on: {error}"
            raise BcliError(message, hint=end_of(together.log_path), exit_code=ExitCode.ENGINE) from error
        except BaseException:
            together.stop()
            raise
        return together

    @property
    def log_paths(self) -> tuple[Path, ...]:
        """Return where the router and the servers write."""
        return (self.log_path, *(each.server.log_path for each in self._replicas))

    def poll(self, within: float = 0) -> int | None:
        """Return an exit code when the service has ended: the router's, or that of a replica nobody starts again.

        Where replicas are to be started again, this does it: those that have died, after a pause.
        """
        if (code := self._router.poll(within)) is not None:
            return code
        for replica in self._replicas:
            code = replica.server.poll()
            if code is None:
                continue
            if self._restart is None:
                return code
            self._revive(replica, self._restart)
        return None

    def failure(self) -> BcliError:
        """Return why the service has ended."""
        dead = next((each for each in self._replicas if each.server.poll() is not None), None)
        if self._router.poll() is not None or dead is None:
            return router_failure(self._router, self.log_path)
        error = dead.server.failure()
        return BcliError(f"Replica {dead.number}: {error.message}", hint=error.hint, exit_code=error.exit_code)

    def stop(self) -> None:
        """End all of them within 15 seconds."""
        servers = [each.server for each in self._replicas]
        self._router.let_go()
        for server in servers:
            server.let_go()
        with ExitStack() as all_of_them:
            all_of_them.callback(self._router.stop)
            for server in servers:
                all_of_them.callback(server.stop)

    def __enter__(self) -> Replicas:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @staticmethod
    def _revive(replica: _Replica, tell: Callable[[str], None]) -> None:
        if replica.due is None:
            replica.due = time.monotonic() + replica.pause
            error = replica.server.failure()
            tell(f"replica {replica.number}: {error.message} Starting it again in {replica.pause:.0f} s.")
            replica.pause = min(2 * replica.pause, _LONGEST_PAUSE)
        elif time.monotonic() >= replica.due:
            replica.launch_again()
