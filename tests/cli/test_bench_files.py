"""`bcli bench compare` and `bcli bench report`: what they say about files of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baichuan_cli.bench.points import Point
from baichuan_cli.bench.record import Failure, Record, SettingRecord, write_record
from baichuan_cli.errors import ExitCode
from bench.test_compare import rates, run
from cli.in_process import Bcli, Ran, run_bcli


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Bcli:
    monkeypatch.chdir(tmp_path)

    def in_this_process(*arguments: str) -> Ran:
        return run_bcli(("bench", *arguments), monkeypatch, capfd)

    return in_this_process


def write(name: str, record: Record) -> str:
    write_record(Path(name), record)
    return name


def test_compare_shows_change_interval_and_verdict(bcli: Bcli) -> None:
    old, new = write("old.json", run([99.0, 100.0, 101.0, 100.5, 99.5])), write("new.json", run(rates(80)))
    ran = bcli("compare", old, new)
    assert ran.code == 0
    header, row = ran.stdout.splitlines()
    assert header.split() == ["old", "new", "change", "95", "%", "interval", "p"]
    assert row.split("  ")[0] == "output tokens/s"
    assert row.endswith("0.008  regressed")


@pytest.mark.parametrize(("limit", "code"), [("5%", ExitCode.PARTIAL), ("50", ExitCode.OK)])
def test_compare_fails_a_pipeline_on_a_regression(bcli: Bcli, limit: str, code: ExitCode) -> None:
    old, new = write("old.json", run(rates(100))), write("new.json", run(rates(80)))
    ran = bcli("compare", old, new, "--fail-on-regression", limit)
    assert ran.code == code
    assert ("warning: output tokens/s got worse by" in ran.stderr) == bool(code)


def test_with_one_sample_a_side_the_change_itself_counts(bcli: Bcli) -> None:
    old, new = write("old.json", run([100.0])), write("new.json", run([80.0]))
    assert bcli("compare", old, new, "--fail-on-regression", "5%").code == ExitCode.PARTIAL
    assert bcli("compare", new, old, "--fail-on-regression", "5%").code == ExitCode.OK


def test_different_shapes_are_refused_unless_told(bcli: Bcli) -> None:
    old, new = write("old.json", run(rates(100))), write("new.json", run(rates(100), shape={"input_len": 64}))
    ran = bcli("compare", old, new)
    assert ran.code == ExitCode.REFUSED
    assert ran.stderr == (
        "error: The runs have different shapes: input_len: 32 → 64.\n"
        "  Measure the same load again, or compare all the same with --different-shapes.\n"
    )
    told = bcli("compare", old, new, "--different-shapes")
    assert told.code == 0
    assert told.stderr.splitlines()[0] == "warning: different shapes: input_len: 32 → 64"


def test_compare_as_json(bcli: Bcli) -> None:
    old, new = write("old.json", run(rates(100))), write("new.json", run(rates(80)))
    data = json.loads(bcli("compare", old, new, "--json", "--fail-on-regression", "5%").stdout)
    assert data["schema"] == "bcli.bench-compare/1"
    assert data["regressions"] == ["output_tokens_per_s"]
    assert data["runs"][0]["changes"][0]["verdict"] == "regressed"


def test_points_of_sweeps_are_told_apart(bcli: Bcli) -> None:
    for name, mean in (("old", 100), ("new", 80)):
        records = [
            run(rates(mean), settings={"dtype": SettingRecord(value=dtype, source="--set dtype")})
            for dtype in ("float16", "bfloat16")
        ]
        points = [Point(at={"batch_size": 1}, record=record) for record in records]
        Path(f"{name}.jsonl").write_bytes(b"".join(point.line() for point in points))
    ran = bcli("compare", "old.jsonl", "new.jsonl")
    headings = [line for line in ran.stdout.splitlines() if line.startswith("demo")]
    assert headings == ["demo · input len 32 · dtype float16", "demo · input len 32 · dtype bfloat16"]
    shown = json.loads(bcli("compare", "old.jsonl", "new.jsonl", "--json").stdout)
    assert [pair["settings"] for pair in shown["runs"]] == [{"dtype": "float16"}, {"dtype": "bfloat16"}]
    other = write("other.json", run(rates(100), kind="latency"))
    refused = bcli("compare", "old.jsonl", other)
    assert refused.code == ExitCode.REFUSED
    assert refused.stderr.startswith("error: No point of old.jsonl has one of the same shape and settings in other")


def test_report_shows_requests_that_failed(bcli: Bcli) -> None:
    path = write("run.json", run(rates(100), failures=[Failure(error="timeout", count=2)], marks=["busy"]))
    assert bcli("report", path).stderr == "warning: 2 requests failed: timeout\nwarning: busy\n"
    bcli("report", path, "--markdown", "run.md")
    assert Path("run.md").read_text().endswith("\n\n**2 requests failed: timeout**\n\n**busy**\n")


def test_report_writes_what_is_asked_for(bcli: Bcli) -> None:
    path = write("run.json", run(rates(100), rates(50, 20)))
    ran = bcli("report", path, "--html", "run.html", "--csv", "run.csv", "--markdown", "run.md")
    assert (ran.code, ran.stdout) == (0, "run.html\nrun.md\nrun.csv\n")
    assert Path("run.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "TTFT" in bcli("report", path).stdout


def test_report_says_where_it_cannot_write(bcli: Bcli) -> None:
    path = write("run.json", run(rates(100)))
    ran = bcli("report", path, "--html", "nowhere/run.html")
    assert (ran.code, ran.stderr) == (ExitCode.OUTPUT, "error: There is no folder nowhere.\n")


@pytest.mark.parametrize("percent", ["x", "-1", "nan"])
def test_a_limit_that_makes_no_sense_is_refused(bcli: Bcli, percent: str) -> None:
    path = write("run.json", run(rates(100)))
    ran = bcli("compare", path, path, "--fail-on-regression", percent)
    assert ran.code == ExitCode.USAGE
    assert f"error: --fail-on-regression '{percent}' is no percentage." in ran.stderr
