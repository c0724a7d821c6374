"""Runs as a picture, drawn by matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli.bench.report.charts import charts
from baichuan_cli.bench.report.rows import title
from baichuan_cli.bench.report.svg import COLOURS
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.bench.record import Record

_COLUMNS = 2


def write_picture(path: Path, records: Sequence[Record]) -> None:
    """Write all charts of the runs into one PNG.

    Raises:
        BcliError: matplotlib is not installed, or the runs have nothing to draw.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BcliError(
            "A picture needs matplotlib, which is not installed.",
            hint="In the folder of bcli's source: pip install '.[plot]'\nThe HTML page needs nothing: --html",
            exit_code=ExitCode.NOT_FOUND,
        ) from None
    found = charts(records)
    if not found:
        raise BcliError("These runs have nothing to draw: no latencies, and a single load.")
    rows = -(-len(found) // _COLUMNS)
    figure = Figure(figsize=(6 * _COLUMNS, 3.6 * rows), layout="constrained")
    figure.suptitle(title(records[0]) if len(records) == 1 else f"{len(records)} runs of {records[0].model.name}")
    for place, chart in enumerate(found, start=1):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        for number, curve in enumerate(chart.curves):
            xs, ys = zip(*curve.points, strict=True)
            style: dict[str, Any] = {"marker": "o", "markersize": 3} if chart.kind != "steps" and len(xs) <= 40 else {}
            if chart.kind == "dots":
                style = {"marker": "o", "markersize": 3, "linestyle": "none"}
            axes.plot(
                xs,
                ys,
                label=curve.name,
                color=COLOURS[number % len(COLOURS)],
                drawstyle="steps-post" if chart.kind == "steps" else "default",
                **style,
            )
        axes.set(title=chart.title, xlabel=chart.x, ylabel=chart.y)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if len(chart.curves) > 1:
            axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)
