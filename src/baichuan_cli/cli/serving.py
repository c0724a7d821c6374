"""What `bcli serve` does with a plan: start, tell, watch, start again, stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from types import FrameType

import typer

from baichuan_cli.cli.first_start import first_start_told
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.serve_report import tell_ready
from baichuan_cli.cli.web_page import WebPage
from baichuan_cli.engine.notify import notify
from baichuan_cli.engine.replicas import Replicas
from baichuan_cli.engine.running import Running
from baichuan_cli.engine.server import Server
from baichuan_cli.errors import BcliError
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.serving import ServeOptions

_LOOK_SECONDS = 0.2  # between two looks at a running server
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds before a restart, doubled each time
_STEADY_SECONDS = 600.0  # who has run this long is started again after the first pause


class _Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


def keep_serving(
    plan: Plan,
    options: ServeOptions,
    out: Output,
    *,
    replicas: Sequence[Plan] = (),
    restart: bool,
    verbose: bool,
    page: WebPage | None = None,
) -> None:
    """Serve until a signal ends it.

    Args:
        plan: with the server's settings in it, without refusals; its model is on this machine.
        options: what the server was planned for.
        out: where progress and readiness are told.
        replicas: the plans of several servers behind a router, which take the place of one.
        restart: start vLLM again when it dies, if it has been ready once.
        verbose: show vLLM's log as it comes.
        page: shown from the first time on that vLLM is ready, whatever becomes of vLLM.

    Raises:
        BcliError: vLLM could not start, or died and is not to be started again.
        typer.Exit: Ctrl-C or SIGTERM; all of vLLM has ended.
    """
    pause, been_ready = _FIRST_PAUSE, False
    try:
        with _signals_stop(), ExitStack() as beside:
            while True:
                started = time.monotonic()
                try:
                    with _start(plan, options, replicas, out, restart=restart, verbose=verbose) as server:
                        notify("READY=1\nSTATUS=ready")
                        tell_ready(server, plan, out, time.monotonic() - started)
                        if page and not been_ready:
                            beside.callback(page.close)
                            beside.enter_context(page.shown(server, plan, out))
                        been_ready = True
                        failure = _watch(server, out, verbose=verbose)
                except BcliError as error:
                    failure = error
                if not (restart and been_ready):
                    raise failure
                if time.monotonic() - started > _STEADY_SECONDS:
                    pause = _FIRST_PAUSE
                out.warning(f"{failure.message} Starting it again in {pause:.0f} s.", hint=failure.hint)
                notify("STATUS=vLLM died and is started again")
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
    except _Stopped as stopped:
        out.note("stopped")
        raise typer.Exit(stopped.exit_code) from None


def _start(
    plan: Plan, options: ServeOptions, replicas: Sequence[Plan], out: Output, *, restart: bool, verbose: bool
) -> Running:
    with first_start_told(plan, out), out.status("starting") if not verbose else nullcontext() as show:

        def tell(doing: str) -> None:
            notify(f"STATUS={doing}")
            if show:
                show(f"{doing} …")

        def tell_line(line: str) -> None:
            if verbose:
                out.note(line)

        if replicas:
            warn = out.warning if restart else None
            return Replicas.start(replicas, options, on_progress=tell, on_line=tell_line, restart=warn)
        return Server.start(plan, options, on_progress=tell, on_line=tell_line)


def _watch(server: Running, out: Output, *, verbose: bool) -> BcliError:
    """Wait until the server has ended, and return why."""
    while server.poll() is None:
        time.sleep(_LOOK_SECONDS)
        lines = server.log.lines()  # read in any case, so that little is left to read at the end
        if verbose:
            for line in lines:
                out.note(line)
    return server.failure()


@contextmanager
def _signals_stop() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into an exception, and tell systemd first: stopping takes its time."""

    def stop(number: int, _: FrameType | None) -> None:
        notify("STOPPING=1")
        raise _Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
