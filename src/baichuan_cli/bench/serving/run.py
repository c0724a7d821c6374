"""A serving run as a whole: warm-up, repeats, and the record of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from baichuan_cli.bench.record import Record, SettingRecord, Value, now
from baichuan_cli.bench.serving.load import Sample, Target, send_load
from baichuan_cli.bench.serving.metrics import LoadRun, failures, hit_rate, marks, series, serving_metrics
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.bench.record import ModelRecord
    from baichuan_cli.bench.serving.arrivals import Arrivals
    from baichuan_cli.bench.workload import Workload
    from baichuan_cli.engine.client import Client

#: Turns of warm-up draw other prompts than those that count.
_WARMUP_TURN = -1


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks of a serving run.

    Attributes:
        count: requests of each repeat.
        warmup: requests before the first that counts, all at once.
        goals: limits in milliseconds, by "ttft", "tpot" and "e2e".
    """

    target: Target
    workload: Workload
    arrivals: Arrivals
    count: int
    repeats: int = 1
    warmup: int = 0
    seed: int = 0
    goals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class About:
    """What the record says of the server besides what was measured."""

    model: ModelRecord
    environment: Mapping[str, Any]
    profile: str = ""
    settings: Mapping[str, SettingRecord] = field(default_factory=dict)
    variables: Mapping[str, SettingRecord] = field(default_factory=dict)
    load_seconds: float | None = None
    doubts: Sequence[str] = ()


async def measure_serving(
    url: str,
    api_key: str | None,
    asked: Asked,
    about: About,
    *,
    on_done: Callable[[Sample], None] = lambda _: None,
) -> Record:
    """Measure a server.

    Args:
        url: its base URL.
        on_done: told of every request that counts when it has ended.

    Raises:
        BcliError: the warm-up fails: nothing could be measured then.
    """
    from baichuan_cli.engine.client import Client

    started = now()
    async with Client(url, api_key=api_key) as client:
        warmup_seconds = await _warm_up(client, asked)
        runs = [await _once(url, client, asked, turn, on_done) for turn in range(asked.repeats)]
    limit = asked.target.max_concurrency
    shape: dict[str, Value] = {
        **asked.workload.shape,
        "num_prompts": asked.count,
        **asked.arrivals.shape,
        "max_concurrency": limit,
        "endpoint": asked.target.endpoint,
        "temperature": float(str(asked.target.sampling.get("temperature", 0.0))),
        **{f"slo_{name}_ms": limit for name, limit in asked.goals.items()},
    }
    asked_input = asked.workload.shape.get("input_len") if asked.target.endpoint == "completions" else None
    found = marks(runs, asked.arrivals, asked_input=asked_input if isinstance(asked_input, int) else None)
    return Record(
        kind="serve",
        started=started,
        model=about.model,
        profile=about.profile,
        shape=shape,
        settings=about.settings,
        variables=about.variables,
        environment=about.environment,
        load_seconds=about.load_seconds,
        warmup={"requests": asked.warmup, "seconds": warmup_seconds},
        metrics=tuple(serving_metrics(runs, asked.goals)),
        series=series(runs[-1]),
        failures=failures(runs),
        marks=(*about.doubts, *found),
        notes=tuple(_notes(runs, asked)),
    )


async def _warm_up(client: Client, asked: Asked) -> float | None:
    if not asked.warmup:
        return None
    prompts = asked.workload.draw(asked.warmup, _WARMUP_TURN)
    samples = await send_load(client, asked.target, prompts, [0.0] * len(prompts))
    if broken := [sample for sample in samples if not sample.ok]:
        raise BcliError(
            f"{len(broken)} of {len(samples)} requests of the warm-up failed: {broken[0].error}",
            hint="Look at the server's log. To measure all the same: --warmup 0",
            exit_code=ExitCode.ENGINE,
        )
    return max(sample.sent + (sample.finished or 0.0) for sample in samples)


async def _once(url: str, client: Client, asked: Asked, turn: int, on_done: Callable[[Sample], None]) -> LoadRun:
    from aiohttp import ClientSession, ClientTimeout

    from baichuan_cli.bench.serving.server_metrics import Watcher
    from baichuan_cli.engine.endpoint import api_root

    prompts = asked.workload.draw(asked.count, turn)
    due = asked.arrivals.times(asked.count, asked.seed + turn)
    stop = asyncio.Event()
    async with ClientSession(timeout=ClientTimeout(total=5)) as session:
        watcher = Watcher(api_root(url).rpartition("/")[0], session)
        await watcher.begin()
        watching = asyncio.create_task(watcher.watch(stop))
        try:
            samples = await send_load(client, asked.target, prompts, due, on_done=on_done)
        finally:
            stop.set()
            seen = await watching
    return LoadRun(samples, seen)


def _notes(runs: Sequence[LoadRun], asked: Asked) -> list[str]:
    rate = hit_rate(runs)
    notes = [
        f"prefix cache: {rate:.1%} of the prompt tokens"
        if rate is not None
        else "prefix cache: off, or the server does not tell"
    ]
    if asked.arrivals.shape["request_rate"] != "inf":
        notes.append(f"asked rate {asked.arrivals.mean_rate:.2f} requests/s")
    if not any(run.server.told for run in runs):
        notes.append("the server has no vLLM metrics at /metrics")
    return notes
