"""A run's file: written, read back, and refused where it is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baichuan_cli.bench.points import Point
from baichuan_cli.bench.record import Failure, ModelRecord, Record, metric, now, read_records, write_record
from baichuan_cli.errors import BcliError


def record(**changes: object) -> Record:
    given: dict[str, object] = {
        "kind": "throughput",
        "started": now(),
        "model": ModelRecord(name="demo"),
        "shape": {"input_len": 32},
        "environment": {"python": "3.11"},
        "metrics": (metric("run_s", "s", "lower", [1.0, 2.0, 3.0, 4.0]),),
        "failures": (Failure(error="timeout", count=2),),
    }
    return Record.model_validate(given | changes)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_record(path, record())
    (back,) = read_records(path)
    assert back == record(started=back.started)
    assert back.failed == 2


def test_the_file_has_the_schema_and_a_summary_for_its_readers(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_record(path, record())
    data = json.loads(path.read_text())
    assert data["schema"] == "bcli.bench/1"
    summary = data["metrics"][0]["summary"]
    assert (summary["mean"], summary["min"], summary["max"], summary["count"]) == (2.5, 1.0, 4.0, 4)
    assert summary["percentiles"]["p50"] == {"value": 2.5, "low": None, "high": None}


def test_a_sweep_is_the_runs_of_its_points(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    good = Point(at={"batch_size": 1}, record=record())
    failed = Point(at={"batch_size": 2}, error="out of memory")
    path.write_bytes(good.line() + failed.line() + good.line()[:50])
    assert len(read_records(path)) == 1
    path.write_bytes(failed.line())
    with pytest.raises(BcliError, match="No point"):
        read_records(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "it is not JSON|Invalid JSON"),
        ("[]", "is no run of bcli's"),
        ("{}", "Field required"),
        ('{"schema": "bcli.bench/2"}', "'bcli.bench/2', not 'bcli.bench/1': another version of bcli wrote it"),
        ('{"schema": "bcli.generate/1"}', "its schema is 'bcli.generate/1', not 'bcli.bench/1'.$"),
    ],
)
def test_what_is_no_run_is_said(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(BcliError, match=message):
        read_records(path)


@pytest.mark.parametrize("content", ["a letter", '{"schema": "bcli.generate/1"}'])
def test_a_last_line_that_begins_no_point_was_not_cut_off_a_sweep(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sweep.jsonl"
    path.write_text(content)
    with pytest.raises(BcliError, match="its last line is no point of a sweep"):
        read_records(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BcliError, match="There is no run in"):
        read_records(tmp_path / "none.json")
