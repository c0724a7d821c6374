"""The record of a run, `run.json`: its schema, how it is written and how it is read. Documented in docs/bench.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, computed_field, model_validator

from baichuan_cli.atomic_file import replace_file
from baichuan_cli.bench.statistics import percentile, percentile_interval, sample_deviation
from baichuan_cli.errors import BcliError, ExitCode

SCHEMA: Final = "bcli.bench/1"
PERCENTILES = (50, 90, 95, 99)

Kind = Literal["throughput", "latency", "serve"]
Value = bool | int | float | str | None


class Strict(BaseModel):
    """What all parts of a record are: fixed once made, with no field that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Percentile(Strict):
    """One percentile with its 95 % confidence interval; an end that the samples cannot bound is null."""

    value: float
    low: float | None
    high: float | None


class Summary(Strict):
    """What the samples of a metric come to. `sd` is over n - 1."""

    count: int
    mean: float
    sd: float
    min: float
    max: float
    percentiles: Mapping[str, Percentile]  # by name: "p50", "p99"


class Metric(Strict):
    """One measured quantity with every sample.

    Attributes:
        name: "output_tokens_per_s", "ttft_ms" and so on.
        unit: of the samples.
        better: which direction is the better one.
        at: where in the run it was measured, such as `{"batch_size": 8}`; empty for the run as a whole.
        samples: in the order in which they were taken.
        per: what one sample stands for: a repeat of the whole run, a request, or a gap between two tokens.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    at: Mapping[str, Value] = {}
    per: Literal["run", "request", "token"] = "run"
    samples: Annotated[tuple[float, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _leave_the_summary(cls, data: Any) -> Any:
        # It is written for readers of the file; the samples are what counts.
        return {name: value for name, value in data.items() if name != "summary"} if isinstance(data, dict) else data

    @computed_field  # type: ignore[prop-decorator]
    @cached_property  # of ten thousands of gaps between tokens it takes a second
    def summary(self) -> Summary:
        """Return mean, deviation, range and percentiles."""
        ordered = sorted(self.samples)
        return Summary(
            count=len(ordered),
            mean=fmean(ordered),
            sd=sample_deviation(ordered),
            min=ordered[0],
            max=ordered[-1],
            percentiles={
                f"p{q}": Percentile(value=percentile(ordered, q), low=interval.low, high=interval.high)
                for q in PERCENTILES
                for interval in [percentile_interval(ordered, q)]
            },
        )


class SettingRecord(Strict):
    """One setting of the plan, with where it came from and why."""

    value: Any
    source: str
    reason: str = ""


class ModelRecord(Strict):
    """Which model was measured."""

    name: str
    parameters: int | None = None
    revision: str = ""  # the commit that the store knows
    weights_dtype: str = ""
    quantization: str | None = None


class Ceiling(Strict):
    """What the hardware can do at most, for the roofline, and how that is known."""

    bandwidth_gb_s: float | None = None
    bandwidth_from: str = ""  # "profile k100-ai", or how it was measured here
    peak_tflops: float | None = None
    peak_from: str = ""


class Failure(Strict):
    """A kind of failure with how often it came. Failed requests are in no latency."""

    error: str
    count: int


class Record(Strict):
    """One run.

    Attributes:
        shape: what must be equal for two runs to be compared: lengths, data set, batch, rate, sampling.
        settings: every setting of the plan; empty for a server that bcli did not start.
        warmup: what was done before measuring, and how long it took.
        series: values over time, each a list of `[seconds since the start, value]`.
        marks: what makes the run less than fair, in words; empty is good.
        notes: remarks that are no doubt about the numbers.
    """

    schema_version: Annotated[Literal["bcli.bench/1"], Field(alias="schema")] = SCHEMA
    kind: Kind
    started: AwareDatetime
    model: ModelRecord
    profile: str = ""
    shape: Mapping[str, Value]
    settings: Mapping[str, SettingRecord] = {}
    variables: Mapping[str, SettingRecord] = {}  # environment variables of the plan
    environment: Mapping[str, Any]
    load_seconds: float | None = None
    warmup: Mapping[str, Value] = {}
    metrics: tuple[Metric, ...] = ()
    ceiling: Ceiling = Ceiling()
    series: Mapping[str, tuple[tuple[float, float], ...]] = {}
    failures: tuple[Failure, ...] = ()
    marks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def find(self, name: str, at: Mapping[str, Value] | None = None) -> Metric | None:
        """Return a metric by its name and place, or None."""
        return next(
            (metric for metric in self.metrics if metric.name == name and (at is None or metric.at == at)), None
        )

    @property
    def failed(self) -> int:
        """Return how many requests failed."""
        return sum(failure.count for failure in self.failures)


def now() -> datetime:
    """Return the time to the second, with its zone."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def write_record(path: Path, record: Record) -> None:
    """Write a run's file in one step."""
    replace_file(path, record.model_dump_json(by_alias=True, indent=1).encode() + b"\n")


def read_records(path: Path) -> tuple[Record, ...]:
    """Read a run's file, or all runs of a sweep's, in which every line is a point.

    Points that failed have no record and are left out.

    Raises:
        BcliError: the file is missing, is none of bcli's, or a newer bcli wrote it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BcliError(f"There is no run in {path}.", exit_code=ExitCode.NOT_FOUND) from None
    return _points(path, content) if path.suffix == ".jsonl" else (_record(path, content),)


def _points(path: Path, content: bytes) -> tuple[Record, ...]:
    from baichuan_cli.bench.points import read_points

    records = tuple(point.record for point in read_points(path, content) if point.record is not None)
    if not records:
        raise BcliError(f"No point of {path} has a result.", exit_code=ExitCode.INVALID)
    return records


def _record(path: Path, content: bytes) -> Record:
    try:
        return Record.model_validate_json(content)
    except ValueError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: ValueError) -> BcliError:
    """Return what to say about a file that is no run of bcli's."""
    why = str(error)
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        why = f"{where + ': ' if where else ''}{problem['msg']}"
        if problem["type"] == "literal_error" and problem["loc"][-1] == "schema":
            found, wanted = str(problem["input"]), problem["ctx"]["expected"].strip("'")
            why = f"its schema is {found!r}, not {wanted!r}"
            if found.partition("/")[0] == wanted.partition("/")[0]:
                why += ": another version of bcli wrote it"
    message = f"{path} is no run of bcli's: {why}."
    return BcliError(message, hint="Runs come from: bcli bench", exit_code=ExitCode.INVALID)


def metric(
    name: str,
    unit: str,
    better: Literal["higher", "lower"],
    samples: Sequence[float],
    *,
    at: Mapping[str, Value] | None = None,
    per: Literal["run", "request", "token"] = "run",
) -> Metric:
    """Return a metric."""
    return Metric(name=name, unit=unit, better=better, samples=tuple(samples), at=at or {}, per=per)
