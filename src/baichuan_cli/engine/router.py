"""vllm-router, which spreads requests over several servers. bcli has no router of its own."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path

from baichuan_cli.engine.kept import KeptProcess
from baichuan_cli.engine.log import end_of
from baichuan_cli.engine.ports import free_port
from baichuan_cli.engine.readiness import healthy
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.serving import ServeOptions

_LOOK_SECONDS = 0.1  # between two looks at a router that is starting
_HEALTH_SECONDS = 5  # between two of the router's looks at a server
_IMBALANCE = 2  # requests that one server may have more than another before its cache counts for less


def require_router() -> None:
    """Refuse to go on without vllm-router.

    Raises:
        BcliError: it is not installed.
    """
    if importlib.util.find_spec("vllm_router") is None:
        raise BcliError(
            "--replicas needs vllm-router, which is not installed in this Python environment.",
            hint="pip install vllm-router",
            exit_code=ExitCode.NOT_FOUND,
        )


def router_command(options: ServeOptions, workers: Sequence[str]) -> list[str]:
    """Return the arguments for Python that start the router.

    It sends what begins alike to the server that has it in its cache, as long as the load stays even: by its own
    measure of 64 requests one server would do all the work of a small service. It asks every server for its health,
    and would let web pages of any origin in unless it is given one.
    """
    own = options.url.removesuffix("/v1")
    return [
        *("-m", "vllm_router.launch_router", "--host", options.host, "--port", str(options.port)),
        *("--worker-urls", *workers, "--policy", "cache_aware"),
        *("--balance-abs-threshold", str(_IMBALANCE), "--balance-rel-threshold", "1"),
        *("--health-check-interval-secs", str(_HEALTH_SECONDS), "--health-failure-threshold", "1"),
        *("--health-success-threshold", "1", "--cors-allowed-origins", *(options.allowed_origins or (own,))),
        *("--prometheus-port", str(free_port()), "--log-level", "warning"),
    ]


def start_router(options: ServeOptions, workers: Sequence[str], log_path: Path) -> KeptProcess:
    """Start the router in front of servers that are ready, and return it when it is ready too.

    Raises:
        BcliError: it ended.
    """
    router = KeptProcess(router_command(options, workers), {}, log_path)
    try:
        while not healthy(options.url):
            if router.poll(_LOOK_SECONDS) is not None:
                raise router_failure(router, log_path)
            time.sleep(_LOOK_SECONDS)
    except BaseException:
        router.stop()
        raise
    return router


def router_failure(router: KeptProcess, log_path: Path) -> BcliError:
    """Return why a router that has ended did so."""
    return BcliError(
        f"vllm-router {router.how_it_ended()}.",
        hint=end_of(log_path, 6),
        exit_code=ExitCode.ENGINE,
    )
