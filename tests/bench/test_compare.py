"""What is called a change, and what noise."""

from __future__ import annotations

import random

import pytest

from baichuan_cli.bench.compare import Change, compare, differences_in_set_up, differences_in_shape, pair
from baichuan_cli.bench.record import ModelRecord, Record, SettingRecord, metric, now


def run(rate: list[float], ttft: list[float] | None = None, **changes: object) -> Record:
    metrics = [metric("output_tokens_per_s", "tokens/s", "higher", rate)]
    metrics += [metric("ttft_ms", "ms", "lower", ttft, per="request")] if ttft else []
    given: dict[str, object] = {
        "kind": "throughput",
        "started": now(),
        "model": ModelRecord(name="demo"),
        "shape": {"input_len": 32},
        "environment": {"packages": {"vllm": "0.32.0"}},
        "metrics": metrics,
    }
    return Record.model_validate(given | changes)


def rates(mean: float, count: int = 5) -> list[float]:
    draw = random.Random(mean)
    return [draw.gauss(mean, 1) for _ in range(count)]


def only(changes: list[Change]) -> Change:
    (change,) = changes
    return change


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [(100, 110, "improved"), (100, 90, "regressed"), (100, 100.3, "noise")],
)
def test_more_tokens_a_second_are_better(old: float, new: float, verdict: str) -> None:
    assert only(compare(run(rates(old)), run(rates(new)))).verdict == verdict


def test_less_latency_is_better() -> None:
    change = compare(run(rates(100), rates(50, 40)), run(rates(100), rates(40, 40)))[1]
    assert (change.name, change.verdict) == ("ttft_ms", "improved")
    assert change.worse_by == pytest.approx(-0.2, abs=0.02)
    low, high = change.interval
    assert low is not None and high is not None
    assert low < change.change < high < 0


def test_a_tiny_difference_is_noise_however_certain() -> None:
    change = compare(run(rates(100), rates(50, 4000)), run(rates(100), rates(50.2, 4000)))[1]
    assert change.p_value < 0.05
    assert change.verdict == "noise"


@pytest.mark.parametrize("count", [1, 3])
def test_so_few_samples_show_nothing(count: int) -> None:
    assert only(compare(run(rates(100, count)), run(rates(50, count)))).verdict == "too few samples"


def test_noise_is_called_a_change_no_more_often_than_it_says() -> None:
    draw = random.Random(5)
    verdicts = [
        only(compare(run([draw.gauss(100, 5) for _ in range(8)]), run([draw.gauss(100, 5) for _ in range(8)]))).verdict
        for _ in range(100)
    ]
    assert verdicts.count("noise") >= 93


def test_metrics_are_compared_where_both_runs_have_them() -> None:
    eight = metric("ttft_ms", "ms", "lower", [1.0, 2.0], at={"batch_size": 8})
    nine = metric("ttft_ms", "ms", "lower", [1.0, 2.0], at={"batch_size": 9})
    assert compare(run([1.0], metrics=[eight]), run([1.0], metrics=[nine])) == []


def test_what_differs_is_told() -> None:
    old = run([1.0], settings={"max_num_seqs": SettingRecord(value=64, source="profile cpu")})
    new = run([1.0], shape={"input_len": 64}, profile="cpu", environment={"packages": {"vllm": "0.33.0"}})
    assert differences_in_shape(old, new) == ["input_len: 32 → 64"]
    assert differences_in_set_up(old, new) == ["profile: – → cpu", "max_num_seqs: 64 → –", "vllm: 0.32.0 → 0.33.0"]


def point(size: int, dtype: str, source: str = "--set dtype") -> Record:
    return run([1.0], shape={"batch_size": size}, settings={"dtype": SettingRecord(value=dtype, source=source)})


def test_points_of_sweeps_are_paired_by_the_settings_that_were_varied() -> None:
    def pairs(old: list[Record], new: list[Record]) -> list[tuple[object, ...]]:
        return [
            (a.shape["batch_size"], a.settings["dtype"].value, b.settings["dtype"].value) for a, b in pair(old, new)
        ]

    both = [point(size, dtype) for dtype in ("float16", "bfloat16") for size in (1, 2)]
    same = [(size, dtype, dtype) for dtype in ("float16", "bfloat16") for size in (1, 2)]
    assert pairs(both, both[::-1]) == same
    # One that was not varied has the value that its plan gave it.
    assert pairs(both, [point(1, "bfloat16", "profile cpu")]) == [(1, "bfloat16", "bfloat16")]
    # What differs between two sweeps as a whole is what they are compared for.
    assert pairs(both[:2], both[2:]) == [(1, "float16", "bfloat16"), (2, "float16", "bfloat16")]


def test_points_of_sweeps_are_paired_by_shape() -> None:
    old = [run([1.0], shape={"batch_size": size}) for size in (1, 2, 4)]
    new = [run([2.0], shape={"batch_size": size}) for size in (4, 1, 8)]
    assert [(a.shape["batch_size"], b.shape["batch_size"]) for a, b in pair(old, new)] == [(1, 1), (4, 4)]
