"""What all reports show of a run: its title, its shape in words, and a row for each metric."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from baichuan_cli.bench.table import NAMES, number

if TYPE_CHECKING:
    from baichuan_cli.bench.record import Metric, Record

COLUMNS = ("", "mean", "± sd", "min", "p50", "p90", "p95", "p99", "max", "samples")


def title(record: Record) -> str:
    """Return a run's name: what was measured, of which model."""
    return f"{record.kind} · {record.model.name} · {record.started:%Y-%m-%d %H:%M}"


def shape_text(record: Record) -> str:
    """Return the load in words; what was not asked for is left out."""
    return " · ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in record.shape.items() if value not in (None, "")
    )


def doubts(record: Record) -> list[str]:
    """Return what a reader must know before the numbers: failed requests, and what makes the run less than fair."""
    return [*(f"{failure.count} requests failed: {failure.error}" for failure in record.failures), *record.marks]


def metric_label(metric: Metric) -> str:
    """Return a metric's name, and where in the run it was measured."""
    where = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in metric.at.items())
    return f"{NAMES.get(metric.name, metric.name)}{f', {where}' if where else ''}"


def metric_rows(record: Record) -> list[list[str]]:
    """Return a row of `COLUMNS` for each metric."""
    rows = []
    for metric in record.metrics:
        summary = metric.summary
        percentiles = [summary.percentiles[name].value for name in ("p50", "p90", "p95", "p99")]
        spread = number(summary.sd, metric.unit) if summary.count > 1 else "–"
        rest = [number(value, metric.unit) for value in (summary.min, *percentiles, summary.max)]
        rows.append([metric_label(metric), number(summary.mean, metric.unit), spread, *rest, str(summary.count)])
    return rows


def markdown(records: Sequence[Record]) -> str:
    """Return runs as Markdown: a heading, the load, and a table each."""
    parts = []
    for record in records:
        lines = [f"### {title(record)}", "", shape_text(record), ""]
        lines += [_markdown_row(COLUMNS), _markdown_row(["---"] * len(COLUMNS))]
        lines += [_markdown_row(row) for row in metric_rows(record)]
        for doubt in doubts(record):
            lines += ["", f"**{doubt}**"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def csv_text(records: Sequence[Record]) -> str:
    """Return runs as CSV: a line for each metric, its numbers unrounded."""
    shapes = list(dict.fromkeys(name for record in records for name in record.shape))
    places = list(dict.fromkeys(name for record in records for metric in record.metrics for name in metric.at))
    percentiles = ("p50", "p90", "p95", "p99")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            *("kind", "started", "model", "profile", *shapes, "metric", "unit"),
            *(f"at_{name}" for name in places),
            *("samples", "mean", "sd", "min", *percentiles, "max"),
        ]
    )
    for record in records:
        head = [record.kind, record.started.isoformat(), record.model.name, record.profile]
        head += ["" if (value := record.shape.get(name)) is None else str(value) for name in shapes]
        for metric in record.metrics:
            summary = metric.summary
            writer.writerow(
                [
                    *(*head, metric.name, metric.unit, *(metric.at.get(name, "") for name in places)),
                    *(summary.count, summary.mean, summary.sd, summary.min),
                    *(summary.percentiles[name].value for name in percentiles),
                    summary.max,
                ]
            )
    return buffer.getvalue()
