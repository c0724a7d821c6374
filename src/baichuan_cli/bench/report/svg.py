"""Charts as SVG that stands inside a page: no script, no font and nothing else from anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from baichuan_cli.bench.report.charts import Chart, Curve, Point

#: Colours that people with any colour vision can tell apart (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444")

_WIDTH, _HEIGHT = 520, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 28, 12, 44
_LEAST = 1e-300  # a span below it counts as none: a fifth of it could be too small for a float


def draw(chart: Chart) -> str:
    """Return a chart as an `<svg>` element with a legend under it where it has several curves."""
    points = [point for curve in chart.curves for point in curve.points]
    xs, ys = _axis([x for x, _ in points]), _axis([0.0, *(y for _, y in points)])
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(chart.title)}">',
        *(_x_tick(tick, xs) for tick in xs),
        *(_y_tick(tick, ys) for tick in ys),
        f'<text class="label" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}">{escape(chart.x)}</text>',
        f'<text class="label" transform="translate(14 {(_TOP + _HEIGHT - _BOTTOM) / 2}) rotate(-90)">'
        f"{escape(chart.y)}</text>",
    ]
    for number, curve in enumerate(chart.curves):
        placed = [(_place_x(x, xs), _place_y(y, ys)) for x, y in curve.points]
        parts.append(_curve(chart, placed, COLOURS[number % len(COLOURS)]))
    return "".join([*parts, "</svg>", _legend(chart.curves)])


def _curve(chart: Chart, placed: Sequence[Point], colour: str) -> str:
    if chart.kind == "dots":
        return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in placed)
    if chart.kind == "steps":
        placed = [
            corner
            for before, after in zip([(placed[0][0], _HEIGHT - _BOTTOM), *placed], placed, strict=False)
            for corner in ((after[0], before[1]), after)
        ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    dots = "" if chart.kind == "steps" or len(placed) > 40 else _dots(placed, colour)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>{dots}'


def _dots(placed: Sequence[Point], colour: str) -> str:
    return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in placed)


def _axis(values: Sequence[float]) -> list[float]:
    """Return round ticks that span the values."""
    low, high = min(values), max(values)
    if high - low < _LEAST:
        high = low + (abs(low) if abs(low) > _LEAST else 1.0)
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, last + 1)]


def _place_x(value: float, axis: Sequence[float]) -> float:
    return _LEFT + (value - axis[0]) / (axis[-1] - axis[0]) * (_WIDTH - _LEFT - _RIGHT)


def _place_y(value: float, axis: Sequence[float]) -> float:
    return _HEIGHT - _BOTTOM - (value - axis[0]) / (axis[-1] - axis[0]) * (_HEIGHT - _TOP - _BOTTOM)


def _x_tick(tick: float, axis: Sequence[float]) -> str:
    x = _place_x(tick, axis)
    return (
        f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}"/>'
        f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}">{_shown(tick)}</text>'
    )


def _y_tick(tick: float, axis: Sequence[float]) -> str:
    y = _place_y(tick, axis)
    return (
        f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        f'<text class="tick" text-anchor="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{_shown(tick)}</text>'
    )


def _shown(tick: float) -> str:
    return f"{tick:,.0f}" if abs(tick) >= 1000 else f"{round(tick, 10):g}"


def _legend(curves: Sequence[Curve]) -> str:
    if len(curves) < 2:
        return ""
    items = "".join(
        f'<li><span style="background:{COLOURS[number % len(COLOURS)]}"></span>{escape(curve.name)}</li>'
        for number, curve in enumerate(curves)
    )
    return f'<ul class="legend">{items}</ul>'
