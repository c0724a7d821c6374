"""What the offline benchmarks share: plan, engine, session, and telling the result."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.cli.planning import check, make_grounded_plan
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.bench.choose import Chosen, Wanted
    from baichuan_cli.bench.record import Record
    from baichuan_cli.bench.session import Session
    from baichuan_cli.cli.output import Output
    from baichuan_cli.cli.planning import Grounded, Wishes
    from baichuan_cli.plan.model import Plan


def plan_benchmark(wishes: Wishes, out: Output, *, temperature: float, prefix_cache: bool) -> Grounded:
    """Return the plan of a benchmark, with its warnings told.

    Args:
        prefix_cache: leave the prefix cache to the plan, instead of preferring it off.

    Raises:
        BcliError: the plan refuses, or as `make_plan`.
    """
    from baichuan_cli.plan.model import Layer

    sampling = {"temperature": temperature, "top_p": 1.0, "top_k": -1, "repetition_penalty": 1.0, "ignore_eos": True}
    preferred = None if prefix_cache else Layer("bench", settings={"enable_prefix_caching": False})
    grounded = make_grounded_plan(replace(wishes, sampling=sampling, preferred=preferred), purpose="offline")
    out.note(grounded.headline)
    check(grounded.plan, out)
    return grounded


def choose(wanted: Wanted, plan: Plan) -> Chosen:
    """Return the workload, before anything heavy is loaded.

    Raises:
        BcliError: as `choose_workload`, or the model is not on this machine.
    """
    from baichuan_cli.bench.choose import choose_workload
    from baichuan_cli.catalog.resolve import require_local

    require_local(plan.model)
    return choose_workload(wanted, plan.model, int(str(plan.settings["max_model_len"].value)))


@contextmanager
def open_session(
    grounded: Grounded, out: Output, *, verbose: bool, ceiling: bool = True
) -> Iterator[tuple[Session, Output]]:
    """Look at the machine, measure its ceiling where the profile has none, and start the engine.

    Args:
        verbose: show vLLM's log as it comes.
        ceiling: find the hardware's ceiling; measuring it takes some seconds.

    Yields:
        The session, and the output to use while vLLM's chatter is kept away.

    Raises:
        BcliError: vLLM could not start, or fails.
    """
    from baichuan_cli.bench.ceiling import find_ceiling
    from baichuan_cli.bench.environment import doubts, look
    from baichuan_cli.bench.record import Ceiling
    from baichuan_cli.bench.session import Session
    from baichuan_cli.cli.engine_run import started

    plan = grounded.plan
    environment = look(grounded.machine)
    with out.status("measuring the memory's bandwidth …"):
        bounds = find_ceiling(grounded.profile, str(plan.settings["dtype"].value)) if ceiling else Ceiling()
    with started(plan, out, name="bench", verbose=verbose) as (engine, shown, ready):
        yield Session(plan, engine, ready, environment, doubts(environment), bounds), shown


def run_path(wanted: Path | None, name: str, suffix: str = ".json") -> Path:
    """Return where the run's file goes: as asked, or the next free MODEL-DATE-N in the current folder.

    Raises:
        BcliError: no file can be written there, which must not come out after an hour of measuring.
    """
    path = wanted or _next_free(f"{Path(name).name}-{time.strftime('%Y%m%d')}", suffix)
    if not path.parent.is_dir():
        raise BcliError(f"There is no folder {path.parent}.", exit_code=ExitCode.OUTPUT)
    if path.is_dir():
        hint = f"Name a file in it: --output {path / f'run{suffix}'}"
        raise BcliError(f"{path} is a folder.", hint=hint, exit_code=ExitCode.OUTPUT)
    if not os.access(path.parent, os.W_OK):
        raise BcliError(
            f"Not allowed to write into {path.parent.absolute()}.",
            hint="Give a file elsewhere: --output FILE",
            exit_code=ExitCode.OUTPUT,
        )
    return path


def _next_free(stem: str, suffix: str) -> Path:
    numbered = (Path(f"{stem}-{number}{suffix}") for number in count(1))
    return next(path for path in numbered if not path.exists())


Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # columns and rows


def finish(record: Record, path: Path, out: Output, tables: Sequence[Table]) -> None:
    """Write the run's file, and show its numbers, what they mean and where they are."""
    from baichuan_cli.bench.record import write_record
    from baichuan_cli.bench.table import definitions, roofline_lines

    write_record(path, record)
    if out.json_mode:
        out.json(record.model_dump(mode="json", by_alias=True))
        return
    for columns, rows in tables:
        out.table(columns, rows)
    for line in roofline_lines(record):
        out.text(line)
    for mark in record.marks:
        out.warning(mark)
    for line in definitions(record.metrics):
        out.note(line)
    for note in record.notes:
        out.note(note)
    ready = f"engine ready in {record.load_seconds:.1f} s · " if record.load_seconds is not None else ""
    out.note(f"{ready}run saved to {path}")
