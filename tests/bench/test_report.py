"""Reports: a page that needs nothing else, tables whose numbers are the record's, a picture."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.bench.record import Failure, ModelRecord, Record, SettingRecord, metric
from baichuan_cli.bench.report.charts import Chart, Curve, charts
from baichuan_cli.bench.report.page import page
from baichuan_cli.bench.report.picture import write_picture
from baichuan_cli.bench.report.rows import csv_text, markdown
from baichuan_cli.bench.report.svg import draw
from baichuan_cli.errors import BcliError

finite = st.floats(-1e9, 1e9)


def serving_run(concurrency: int = 4, **changes: object) -> Record:
    given: dict[str, object] = {
        "kind": "serve",
        "started": "2026-11-22T10:00:00Z",
        "model": ModelRecord(name="demo"),
        "shape": {"dataset": "random", "max_concurrency": concurrency, "endpoint": None},
        "settings": {"dtype": SettingRecord(value="bfloat16", source="profile cpu", reason="it has <that>")},
        "environment": {"host": {"processor": "A & B"}},
        "metrics": [
            metric("ttft_ms", "ms", "lower", [10.0, 20.0, 30.0], per="request"),
            metric("tpot_ms", "ms", "lower", [5.0 * concurrency, 6.0, 7.0], per="request"),
            metric("output_tokens_per_s", "tokens/s", "higher", [100.5 * concurrency]),
        ],
        "series": {"running": [(0.0, 1.0), (0.5, 4.0)], "kv_cache_usage": [(0.0, 0.0), (0.5, 0.1)]},
        "failures": [Failure(error="<refused>", count=2)],
        "marks": ["the prefix cache answered 50% of the prompt tokens"],
    }
    return Record.model_validate(given | changes)


class Page(HTMLParser):
    """Collects elements and checks that they are closed in order."""

    VOID = ("meta", "br", "hr", "img", "link")

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("records", [[serving_run()], [serving_run(1), serving_run(8)]])
def test_the_page_is_whole_and_needs_nothing_else(records: list[Record]) -> None:
    content = page(records)
    parsed = Page(content)
    assert not {"script", "link", "img", "iframe", "object"} & set(parsed.seen)
    assert not {name for name, _ in parsed.attributes} & {"src", "href", "srcset", "data"}
    assert "url(" not in content and "@import" not in content and "http" not in content
    assert parsed.seen.count("svg") >= 4


def test_what_the_run_says_stands_on_the_page_as_text() -> None:
    content = page([serving_run()])
    for text in (
        "it has &lt;that&gt;",
        "A &amp; B",
        "2 requests failed: &lt;refused&gt;",
        "the prefix cache answered 50%",
    ):
        assert text in content
    assert "endpoint" not in content  # what was not asked for is left out


def test_several_loads_show_throughput_against_latency() -> None:
    (trade_off,) = [
        chart for chart in charts([serving_run(1), serving_run(8)]) if chart.title.startswith("Throughput")
    ]
    assert trade_off.curves[0].points == ((100.5, 6.0), (804.0, 7.0))
    names = [curve.name for chart in charts([serving_run(1), serving_run(8)]) for curve in chart.curves][:2]
    assert names == ["max concurrency 1", "max concurrency 8"]


def test_other_lengths_are_another_curve() -> None:
    runs = [
        serving_run(size, shape={"input_len": length, "max_concurrency": size})
        for length in (8, 16)
        for size in (1, 2)
    ]
    (trade_off,) = [chart for chart in charts(runs) if chart.title == "Throughput against TPOT"]
    assert [curve.name for curve in trade_off.curves] == ["demo, input len 8", "demo, input len 16"]
    assert [len(curve.points) for curve in trade_off.curves] == [2, 2]


def test_a_distribution_has_every_sample() -> None:
    chart = charts([serving_run()])[0]
    assert chart.curves[0].points == ((10.0, 1 / 3), (20.0, 2 / 3), (30.0, 1.0))


@given(
    st.lists(st.lists(st.tuples(finite, finite), min_size=1, max_size=30), min_size=1, max_size=3),
    st.sampled_from(["line", "steps", "dots"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10),
)
def test_every_chart_is_well_formed_and_inside_its_frame(
    curves: list[list[tuple[float, float]]], kind: str, name: str
) -> None:
    chart = Chart(name, name, name, kind, tuple(Curve(name, tuple(points)) for points in curves))  # type: ignore[arg-type]
    drawn = ElementTree.fromstring(f"<div>{draw(chart)}</div>")
    numbers = [float(each.get(key, 0)) for each in drawn.iter("circle") for key in ("cx", "cy")]
    for line in drawn.iter("polyline"):
        numbers += [float(number) for number in re.split("[ ,]", line.get("points", ""))]
    assert all(0 <= number <= 520 for number in numbers)


def test_markdown() -> None:
    assert markdown([serving_run(metrics=[metric("ttft_ms", "ms", "lower", [10.0, 20.0, 30.0])])]) == (
        "### serve · demo · 2026-11-22 10:00\n"
        "\n"
        "dataset random · max concurrency 4\n"
        "\n"
        "|  | mean | ± sd | min | p50 | p90 | p95 | p99 | max | samples |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| TTFT | 20.0 ms | 10.0 ms | 10.0 ms | 20.0 ms | 28.0 ms | 29.0 ms | 29.8 ms | 30.0 ms | 3 |\n"
        "\n"
        "**2 requests failed: <refused>**\n"
        "\n"
        "**the prefix cache answered 50% of the prompt tokens**\n"
    )


def test_csv_has_the_numbers_of_the_record() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text([serving_run(1), serving_run(8)]))))
    assert len(rows) == 6
    assert [row["max_concurrency"] for row in rows] == ["1"] * 3 + ["8"] * 3
    assert (rows[0]["metric"], float(rows[0]["mean"]), float(rows[0]["p99"])) == ("ttft_ms", 20.0, 29.8)


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_picture(tmp_path / "run.png", [serving_run()])
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(BcliError, match="A picture needs matplotlib"):
        write_picture(tmp_path / "run.png", [serving_run()])
