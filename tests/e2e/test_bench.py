"""`bcli bench` on real vLLM: what is counted is what the engine did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from baichuan_cli.bench.points import read_points
from baichuan_cli.bench.record import Record, read_records
from baichuan_cli.hardware.load import load_profile

pytestmark = pytest.mark.engine


def test_a_server_of_its_own(tmp_path: Path) -> None:
    arguments = (
        "serve",
        "demo",
        "--request-rate",
        "10",
        "--num-prompts",
        "20",
        "--input-len",
        "24",
        "--output-len",
        "8",
    )
    record = bench(tmp_path, *arguments)
    assert record.failures == ()
    assert record.settings["enable_prefix_caching"].value is False
    for name, count in (("ttft_ms", 20), ("tpot_ms", 20), ("e2e_ms", 20)):
        found = record.find(name)
        assert found is not None
        assert len(found.samples) == count
    output, total = record.find("output_tokens_per_s"), record.find("total_tokens_per_s")
    assert output is not None and total is not None
    assert total.samples[0] / output.samples[0] == pytest.approx((24 + 8) / 8)  # the server's own counts
    assert record.series["running"] and record.series["kv_cache_usage"]


def test_a_sweep_in_processes_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "baichuan_cli", "bench", "sweep", "--output", str(path)),
            *("--batch-size", "1,2", "--input-len", "8,4000", "--output-len", "4", "--repeats", "1", "--warmup", "0"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr  # 4,000 tokens do not fit
    points = read_points(path, path.read_bytes())
    assert [(point.at["input_len"], point.at["batch_size"], bool(point.record)) for point in points] == [
        (8, 1, True),
        (8, 2, True),
        (4000, 1, False),
        (4000, 2, False),
    ]
    assert done.stderr.count("\n") == 5  # a line a point, and where the file is: nothing of vLLM or Python


def bench(folder: Path, *arguments: str) -> Record:
    """Run `bcli bench` on a small load of the demo model."""
    done = subprocess.run(
        [sys.executable, "-m", "baichuan_cli", "bench", *arguments, "--output", str(folder / "run.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (record,) = read_records(folder / "run.json")
    return record


def test_throughput(tmp_path: Path) -> None:
    record = bench(tmp_path, "--num-prompts", "3", "--input-len", "20", "--output-len", "12", "--repeats", "2")
    whole = record.find("run_s")
    assert whole is not None
    for name, tokens in (("prompt_tokens_per_s", 60), ("output_tokens_per_s", 36), ("total_tokens_per_s", 96)):
        rates = record.find(name)
        assert rates is not None
        counted = [rate * seconds for rate, seconds in zip(rates.samples, whole.samples, strict=True)]
        assert counted == pytest.approx([tokens, tokens])
    assert record.find("decode_mbu") is not None
    assert record.ceiling.bandwidth_from == "measured here: the faster of reading and copying"
    assert not [mark for mark in record.marks if "busy" not in mark]
    assert record.environment["packages"]["torch"]


def test_tuning_writes_a_faster_profile(tmp_path: Path) -> None:
    slow, tuned = tmp_path / "slow.yaml", tmp_path / "tuned.yaml"
    slow.write_text(
        "extends: cpu\ntitle: One at a time\nsettings: {max_num_seqs: {value: 1, because: a test}}\n", encoding="utf-8"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "baichuan_cli", "bench", "tune", "--profile", str(slow), "--only", "max_num_seqs"),
            *("--num-prompts", "8", "--input-len", "8", "--output-len", "8", "--repeats", "4"),
            *("--output", str(tuned)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tuned}\n"
    assert "\n[1/1] max_num_seqs=32 +" in done.stderr
    assert load_profile(str(tuned), user_dir=tmp_path).settings["max_num_seqs"].value == 32
