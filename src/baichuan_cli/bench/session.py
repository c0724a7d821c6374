"""An offline run from its plan to its record: which prompts, what is measured, and what makes it less than fair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baichuan_cli.bench.latency import latency_metrics
from baichuan_cli.bench.legacy import LegacyPrompts
from baichuan_cli.bench.offline import Answering, Pass, measure_latency, measure_throughput
from baichuan_cli.bench.record import Ceiling, Metric, ModelRecord, Record, SettingRecord, Value, now
from baichuan_cli.bench.roofline import Load
from baichuan_cli.bench.throughput import lengths, roofline_metrics, throughput_metrics
from baichuan_cli.hub.manifest import read_manifest
from baichuan_cli.sizes import MIB

if TYPE_CHECKING:
    from datetime import datetime

    from baichuan_cli.bench.workload import Workload
    from baichuan_cli.catalog.model import Model
    from baichuan_cli.plan.model import Plan, Setting

#: Where the plan leaves it to vLLM, at least so many sequences run at the same time (0.32's default for a CPU server).
_USUAL_MAX_NUM_SEQS = 128

#: Processors with a larger last-level cache are rare.
_LARGE_CACHE = 256 * MIB

#: Above this share of prompt tokens from the prefix cache a run is marked.
_TOLERATED_HITS = 0.01


@dataclass(frozen=True, slots=True)
class Session:
    """A plan with its engine running, and what all runs on it share.

    Attributes:
        ready_seconds: from the start of vLLM's import to an engine that answers.
        environment: of the machine, looked at before the engine started.
        doubts: what in that environment makes numbers doubtful.
        ceiling: of the hardware; empty where it is unknown.
    """

    plan: Plan
    engine: Answering
    ready_seconds: float
    environment: Mapping[str, Any]
    doubts: Sequence[str] = ()
    ceiling: Ceiling = Ceiling()

    def throughput(self, workload: Workload, count: int, *, repeats: int, warmup: int) -> Record:
        """Measure all prompts at once.

        Raises:
            BcliError: the workload has too few prompts, or the engine fails.
        """
        started = now()
        run = measure_throughput(self.engine, workload, count, repeats=repeats, warmup=warmup)
        nominal = _nominal_tokens(workload, count) if workload.nominal else None
        metrics = throughput_metrics(run, nominal=nominal)
        if workload.uniform and not workload.nominal:
            at_once = int(str(self.plan.settings["max_num_seqs"].value or _USUAL_MAX_NUM_SEQS))
            metrics += roofline_metrics(run, Load.of(self.plan), self.ceiling, at_once=at_once)
        shape = {**workload.shape, "num_prompts": count, **_sampling(self.plan)}
        warmed: dict[str, Value] = {"passes": warmup, "seconds": run.warmup_seconds}
        marks = _marks(workload, run.whole)
        return self._record("throughput", started, shape, metrics, warmed, marks)

    def latency(self, workload: Workload, batch_sizes: Sequence[int], *, repeats: int, warmup: int) -> Record:
        """Measure one batch size after the other.

        Raises:
            BcliError: the workload has too few prompts, or the engine fails.
        """
        started = now()
        load = Load.of(self.plan)
        metrics: list[Metric] = []
        passes: list[Pass] = []
        for size in batch_sizes:
            run = measure_latency(self.engine, workload, size, repeats=repeats, warmup=warmup)
            metrics += latency_metrics(run, load, self.ceiling, uniform=workload.uniform)
            passes += run.batch
        shape = {**workload.shape, "batch_sizes": " ".join(map(str, batch_sizes)), **_sampling(self.plan)}
        warmed: dict[str, Value] = {"passes": warmup}
        return self._record("latency", started, shape, metrics, warmed, _marks(workload, passes))

    def _record(
        self,
        kind: Any,
        started: datetime,
        shape: Mapping[str, Value],
        metrics: Sequence[Metric],
        warmup: Mapping[str, Value],
        marks: Sequence[str],
    ) -> Record:
        return Record(
            kind=kind,
            started=started,
            model=model_record(self.plan.model),
            profile=self.plan.profile_name,
            shape=shape,
            settings=setting_records(self.plan.settings),
            variables=setting_records(self.plan.environment),
            environment=self.environment,
            load_seconds=self.ready_seconds,
            warmup=warmup,
            metrics=tuple(metrics),
            ceiling=self.ceiling,
            marks=(*self.doubts, *marks),
            notes=tuple(_cache_notes(self.plan)),
        )


def model_record(model: Model) -> ModelRecord:
    """Return which model was measured, with the commit that the store knows."""
    manifest = read_manifest(model.path) if model.path else None
    return ModelRecord(
        name=model.name,
        parameters=model.architecture.parameters,
        revision=manifest.revision if manifest else "",
        weights_dtype=model.weights_dtype,
        quantization=model.quantization.method if model.quantization else None,
    )


def setting_records(settings: Mapping[str, Setting]) -> dict[str, SettingRecord]:
    """Return settings with source and reason."""
    return {
        name: SettingRecord(value=setting.value, source=setting.source, reason=setting.reason)
        for name, setting in settings.items()
    }


def _cache_notes(plan: Plan) -> list[str]:
    """Return why MBU says little about a model that a processor's own cache holds."""
    weights = Load.of(plan).step_weight_bytes
    if plan.profile_name != "cpu" or weights > _LARGE_CACHE:
        return []
    return [f"the weights ({weights / 1e6:.0f} MB) fit a processor's cache: decoding is not bound by memory"]


def _sampling(plan: Plan) -> dict[str, Value]:
    return {"temperature": float(str(plan.sampling["temperature"].value))}


def _nominal_tokens(workload: Workload, count: int) -> tuple[int, int]:
    asked = [int(str(workload.shape[name])) for name in ("input_len", "output_len")]
    return asked[0] * count, asked[1] * count


def _marks(workload: Workload, passes: Sequence[Pass]) -> list[str]:
    """Return what makes the numbers less than fair."""
    if isinstance(workload, LegacyPrompts):
        return [workload.why_it_flatters]
    marks = []
    cached = sum(each.cached_tokens or 0 for each in passes)
    prompt = sum(each.prompt_tokens for each in passes)
    if cached > _TOLERATED_HITS * prompt:
        marks.append(f"the prefix cache answered {cached / prompt:.0%} of the prompt tokens")
    asked = workload.shape.get("input_len")
    if asked is not None and lengths(passes) != (asked, asked):
        marks.append(f"prompts have {'–'.join(map(str, lengths(passes)))} tokens, not {asked}")
    return marks
