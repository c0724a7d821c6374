"""Runs as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from baichuan_cli.bench.report.charts import charts
from baichuan_cli.bench.report.rows import COLUMNS, doubts, metric_rows, shape_text, title
from baichuan_cli.bench.report.svg import draw
from baichuan_cli.bench.table import definitions

if TYPE_CHECKING:
    from baichuan_cli.bench.record import Record

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --dim: #666; --line: #ddd; --warn: #8a4b00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #161616; --dim: #9a9a9a; --line: #3a3a3a; --warn: #ffb454; }
}
body { margin: 0 auto; padding: 24px; max-width: 1120px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "PingFang SC", "Microsoft YaHei", sans-serif; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 32px 0 6px; }
h3 { font-size: 14px; margin: 0 0 4px; font-weight: 600; }
p { margin: 4px 0; } .dim { color: var(--dim); } .mark { color: var(--warn); }
.table { overflow-x: auto; }
table { border-collapse: collapse; margin: 8px 0; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 12px 3px 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--dim); font-weight: 500; }
.words td, .words th { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr)); gap: 24px; }
svg { width: 100%; height: auto; } .grid { stroke: var(--line); stroke-width: 1; }
.tick, .label { fill: var(--dim); font-size: 12px; } .label { text-anchor: middle; }
.legend { list-style: none; margin: 0; padding: 0 0 0 62px; font-size: 13px; color: var(--dim); }
.legend li { display: inline-block; margin-right: 16px; }
.legend span { display: inline-block; width: 12px; height: 12px; margin-right: 6px; border-radius: 2px; }
summary { cursor: pointer; margin-top: 8px; }
"""


def page(records: Sequence[Record]) -> str:
    """Return the page: for all runs together the charts, then each run with its numbers and where they come from."""
    heading = title(records[0]) if len(records) == 1 else f"{len(records)} runs of {records[0].model.name}"
    found = definitions([metric for record in records for metric in record.metrics])
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{escape(heading)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n",
            f"<h1>{escape(heading)}</h1>\n",
            *([_run(records[0])] if len(records) == 1 else []),
            _charts(records),
            *([_section(record) for record in records] if len(records) > 1 else []),
            "<h2>Definitions</h2>\n",
            *(f'<p class="dim">{escape(text)}</p>\n' for text in found),
            "</body>\n</html>\n",
        ]
    )


def _charts(records: Sequence[Record]) -> str:
    figures = [f"<div><h3>{escape(chart.title)}</h3>{draw(chart)}</div>" for chart in charts(records)]
    return f'<h2>Charts</h2>\n<div class="charts">\n{"".join(figures)}</div>\n' if figures else ""


def _section(record: Record) -> str:
    return f"<h2>{escape(title(record))}</h2>\n{_run(record)}"


def _run(record: Record) -> str:
    return "".join(
        [
            f'<p class="dim">{escape(shape_text(record))}</p>\n',
            *(f'<p class="mark">{escape(doubt)}</p>\n' for doubt in doubts(record)),
            *(f'<p class="dim">{escape(note)}</p>\n' for note in record.notes),
            _table(COLUMNS, metric_rows(record)),
            _folded("Settings", ("setting", "value", "from", "because"), _settings(record)),
            _folded("Environment", ("", ""), _environment(record)),
        ]
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return (
        f'<div class="table"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'
    )


def _folded(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    return f"<details><summary>{name}</summary>{_table(columns, rows, 'words')}</details>\n"


def _settings(record: Record) -> list[list[str]]:
    return [
        [name, "–" if setting.value is None else str(setting.value), setting.source, setting.reason]
        for name, setting in {**record.settings, **record.variables}.items()
    ]


def _environment(record: Record) -> list[list[str]]:
    facts: dict[str, Any] = {
        "profile": record.profile,
        "model": record.model.model_dump(),
        "engine ready in": None if record.load_seconds is None else f"{record.load_seconds:.1f} s",
        "warm-up": dict(record.warmup),
        "ceiling": record.ceiling.model_dump(exclude_defaults=True),
        **record.environment,
    }
    return [[name, _shown(value)] for name, value in facts.items() if value not in (None, "", {}, [])]


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return " · ".join(f"{name} {_shown(each)}" for name, each in value.items() if each not in (None, ""))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
