"""What the processes of a sweep or of tuning do: start one engine, measure, and hand back records."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baichuan_cli.cli.bench.offline import choose, open_session, plan_benchmark
from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.bench.choose import Wanted
    from baichuan_cli.bench.sweep import Answer, At
    from baichuan_cli.bench.tune import Measured
    from baichuan_cli.cli.planning import Wishes


@dataclass(frozen=True, slots=True)
class Runs:
    """How often each point is measured."""

    repeats: int
    warmup: int
    temperature: float = 0.0


def measure_points(wishes: Wishes, jobs: Sequence[tuple[At, Wanted]], runs: Runs) -> Iterator[Answer]:
    """Start an engine and measure loads on it, one after the other.

    Yields:
        An answer for each job in its order, until the engine is lost.
    """
    from baichuan_cli.bench.points import Point
    from baichuan_cli.bench.sweep import Answer

    quiet = Output(stdout=io.StringIO(), stderr=io.StringIO())
    begun = time.perf_counter()
    with ExitStack() as stack:
        try:
            grounded = plan_benchmark(wishes, quiet, temperature=runs.temperature, prefix_cache=False)
            session, _ = stack.enter_context(open_session(grounded, quiet, verbose=False))
        except BcliError as error:
            yield Answer(Point(at=jobs[0][0], error=told(error)), started=False)
            return
        for at, wanted in jobs:
            try:
                chosen = choose(wanted, grounded.plan)
                record = session.throughput(
                    chosen.workload, chosen.num_prompts, repeats=runs.repeats, warmup=runs.warmup
                )
            except BcliError as error:
                # A load that does not fit is refused before the engine sees it; after a failure it may be dead.
                lives = error.exit_code != ExitCode.ENGINE
                seconds = time.perf_counter() - begun
                yield Answer(Point(at=at, error=told(error), seconds=seconds), engine_lives=lives)
                if not lives:
                    return
            else:
                yield Answer(Point(at=at, record=record, seconds=time.perf_counter() - begun))
            begun = time.perf_counter()


def measure_trial(wishes: Wishes, wanted: Wanted, runs: Runs) -> Iterator[Measured]:
    """Start an engine, have it answer the probe, and measure its throughput.

    Yields:
        What came of it, once.
    """
    from baichuan_cli.bench.probe import ask
    from baichuan_cli.bench.tune import Measured

    quiet = Output(stdout=io.StringIO(), stderr=io.StringIO())
    try:
        grounded = plan_benchmark(wishes, quiet, temperature=0.0, prefix_cache=False)
        chosen = choose(wanted, grounded.plan)
        with open_session(grounded, quiet, verbose=False, ceiling=False) as (session, _):
            probe = ask(session.engine, grounded.plan)
            record = session.throughput(chosen.workload, chosen.num_prompts, repeats=runs.repeats, warmup=runs.warmup)
    except BcliError as error:
        yield Measured(None, None, told(error))
    else:
        yield Measured(record, probe)


def told(error: BcliError) -> str:
    """Return an error in one line: what went wrong, without the log."""
    return error.message.splitlines()[0]
