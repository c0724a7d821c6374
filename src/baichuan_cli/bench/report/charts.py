"""Which charts a set of runs has: what is drawn, whoever draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from baichuan_cli.bench.report.rows import metric_label
from baichuan_cli.bench.table import NAMES

if TYPE_CHECKING:
    from baichuan_cli.bench.record import Metric, Record

Point = tuple[float, float]

#: What a curve of throughput against latency has in common; the rest of a shape is the load, which moves along it.
_LENGTHS = ("input_len", "output_len")

#: More points than this are thinned: no screen shows them.
_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Curve:
    """Points under one name."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `kind` is how its points are drawn: a line, a line of steps, or dots."""

    title: str
    x: str
    y: str
    kind: Literal["line", "steps", "dots"]
    curves: tuple[Curve, ...]


def charts(records: Sequence[Record]) -> list[Chart]:
    """Return latency distributions, throughput against latency, and the timeline of each serving run."""
    found = [_distribution(records, name) for name in ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms")]
    found += [_trade_off(records, name) for name in ("tpot_ms", "run_s")]
    for number, record in enumerate(records):
        found += _timeline(record, f" ({_name(records, number)})" if len(records) > 1 else "")
    return [chart for chart in found if any(curve.points for curve in chart.curves)]


def _distribution(records: Sequence[Record], name: str) -> Chart:
    curves = [
        Curve(_curve_name(records, number, metric), _shares(metric.samples))
        for number, record in enumerate(records)
        for metric in record.metrics
        if metric.name == name
    ]
    what = "gaps" if name == "itl_ms" else "requests"
    return Chart(f"{NAMES[name]}: share of {what} within", "ms", "share", "steps", tuple(curves))


def _shares(samples: Sequence[float]) -> tuple[Point, ...]:
    """Return the samples in order with the share that is not above each."""
    ordered = sorted(samples)
    step = max(1, len(ordered) // _MOST_POINTS)
    places = sorted({*range(0, len(ordered), step), len(ordered) - 1})
    return tuple((ordered[place], (place + 1) / len(ordered)) for place in places)


def _trade_off(records: Sequence[Record], latency: str) -> Chart:
    """Return output tokens a second against a latency: a point for each load, a curve for what else differs."""
    curves: dict[str, list[Point]] = {}
    for record in records:
        told = [f"{key.replace('_', ' ')} {record.shape[key]}" for key in _LENGTHS if key in record.shape]
        name = ", ".join([record.model.name, *told])
        for rate in record.metrics:
            waited = record.find(latency, rate.at)
            if rate.name == "output_tokens_per_s" and waited is not None:
                middle = waited.summary.percentiles["p50"].value
                curves.setdefault(name, []).append((rate.summary.mean, middle))
    several = tuple(Curve(name, tuple(points)) for name, points in curves.items() if len(points) > 1)
    unit = "s" if latency.endswith("_s") else "ms"
    return Chart(f"Throughput against {NAMES[latency]}", "output tokens/s", f"{unit}, median", "line", several)


def _timeline(record: Record, of: str) -> list[Chart]:
    series = record.series
    load = [Curve(name, tuple(series[name])) for name in ("running", "waiting") if series.get(name)]
    cache = [Curve("share in use", tuple(series["kv_cache_usage"]))] if series.get("kv_cache_usage") else []
    pieces = [Curve("pieces", tuple(series["chunks_per_s"]))] if series.get("chunks_per_s") else []
    latencies = [Curve(NAMES[name], tuple(series[name])) for name in ("ttft_ms", "e2e_ms") if series.get(name)]
    return [
        Chart(f"Requests on the server{of}", "s", "requests", "line", tuple(load)),
        Chart(f"KV cache{of}", "s", "share", "line", tuple(cache)),
        Chart(f"Pieces of answers a second{of}", "s", "pieces/s", "line", tuple(pieces)),
        Chart(f"Latency by time of sending{of}", "s", "ms", "dots", tuple(latencies)),
    ]


def _curve_name(records: Sequence[Record], number: int, metric: Metric) -> str:
    where = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in metric.at.items())
    run = _name(records, number) if len(records) > 1 else ""
    return ", ".join(filter(None, (run, where))) or metric_label(metric)


def _name(records: Sequence[Record], number: int) -> str:
    """Return what tells a run from the others: what differs in their shapes, or its number."""
    shape = records[number].shape
    differing = [name for name in shape if any(other.shape.get(name) != shape[name] for other in records)]
    told = ", ".join(f"{name.replace('_', ' ')} {shape[name]}" for name in differing)
    return told or f"run {number + 1}"
