"""A sweep's order, its failing points, its continuation and its knee; work in a process of its own."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from baichuan_cli.bench.child import ChildDied, results_of
from baichuan_cli.bench.points import Point
from baichuan_cli.bench.record import ModelRecord, Record, metric, now
from baichuan_cli.bench.sweep import Answer, At, groups, knees, run

LOADS = {"input_len": (16, 8), "output_len": (4,), "batch_size": (4, 1)}


def record(rate: float = 1.0, seconds: float = 1.0) -> Record:
    return Record(
        kind="throughput",
        started=now(),
        model=ModelRecord(name="demo"),
        shape={},
        environment={},
        metrics=(
            metric("output_tokens_per_s", "tokens/s", "higher", [rate]),
            metric("run_s", "s", "lower", [seconds]),
        ),
    )


def good(at: At) -> Answer:
    return Answer(Point(at=at, record=record()))


class Engines:
    """Measures whatever it is given, and notes which engines were started for what."""

    def __init__(self, *, broken: str = "", deadly: At | None = None, lost: At | None = None) -> None:
        self.started: list[tuple[At, int]] = []
        self.broken, self.deadly, self.lost = broken, deadly, lost

    def __call__(self, engine: At, left: Sequence[At]) -> Iterator[Answer]:
        self.started.append((engine, len(left)))
        if engine.get("dtype") == self.broken:
            yield Answer(Point(at=left[0], error="out of memory"), started=False)
            return
        for at in left:
            if at == self.deadly:
                raise ChildDied(-9)
            if at == self.lost:
                yield Answer(Point(at=at, error="vLLM failed"), engine_lives=False)
                return
            yield good(at)


def test_one_engine_measures_all_loads_the_lightest_first() -> None:
    engines = Engines()
    todo = groups({"model": ("demo",), "dtype": ("float32", "bfloat16")}, LOADS)
    points = list(run(todo, (), engines))
    assert engines.started == [
        ({"model": "demo", "dtype": "float32"}, 4),
        ({"model": "demo", "dtype": "bfloat16"}, 4),
    ]
    assert [(point.at["dtype"], point.at["batch_size"], point.at["input_len"]) for point in points[:4]] == [
        ("float32", 1, 8),
        ("float32", 1, 16),
        ("float32", 4, 8),
        ("float32", 4, 16),
    ]
    assert all(point.record for point in points)


def test_what_is_done_is_not_measured_again() -> None:
    todo = groups({"model": ("demo",)}, LOADS)
    first = list(run(todo, (), Engines()))
    engines = Engines()
    (last,) = run(todo, first[:3], engines)
    assert last.key == first[3].key
    assert engines.started == [({"model": "demo"}, 1)]
    again = Engines()
    assert list(run(todo, first, again)) == []
    assert again.started == []


@pytest.mark.parametrize("kind", ["deadly", "lost"])
def test_an_engine_that_is_lost_takes_one_point_with_it(kind: str) -> None:
    victim = {"model": "demo", "input_len": 16, "output_len": 4, "batch_size": 1}
    engines = Engines(**{kind: victim})
    points = list(run(groups({"model": ("demo",)}, LOADS), (), engines))
    assert [bool(point.record) for point in points] == [True, False, True, True]
    assert points[1].at == victim
    assert (
        points[1].error
        == {
            "deadly": "the process was killed by signal 9, perhaps out of memory",
            "lost": "vLLM failed",
        }[kind]
    )
    assert [left for _, left in engines.started] == [4, 2]


def test_a_process_that_dies_of_its_end_takes_no_point_with_it() -> None:
    def measure(engine: At, left: Sequence[At]) -> Iterator[Answer]:
        yield from map(good, left)
        raise ChildDied(1)

    points = list(run(groups({"model": ("demo",)}, LOADS), (), measure))
    assert [bool(point.record) for point in points] == [True] * 4


def test_an_engine_that_does_not_start_fails_its_points_at_once() -> None:
    engines = Engines(broken="bfloat16")
    points = list(run(groups({"model": ("demo",), "dtype": ("bfloat16", "float32")}, LOADS), (), engines))
    assert [point.error for point in points] == ["out of memory"] * 4 + [""] * 4
    assert len({point.key for point in points}) == 8
    assert len(engines.started) == 2


def curve(*rates_and_seconds: tuple[float, float]) -> list[Point]:
    sizes = (1, 2, 4, 8, 16)
    return [
        Point(at={"model": "demo", "batch_size": size}, record=record(rate, seconds))
        for size, (rate, seconds) in zip(sizes, rates_and_seconds, strict=False)
    ]


def test_the_knee_is_where_throughput_over_latency_is_largest() -> None:
    # Batches are free up to 4, and beyond it twice the batch takes twice the time.
    (knee,) = knees(curve((10, 1), (20, 1), (40, 1), (40, 2), (40, 4)))
    assert (knee.batch_size, knee.at) == (4, {"model": "demo"})


def test_no_knee_is_claimed_beyond_what_was_measured() -> None:
    assert knees(curve((10, 1), (20, 1), (40, 1))) == []
    assert knees(curve((10, 1), (10, 2))) == []


def count_to(number: int) -> Iterator[int]:
    yield from range(number)


def die_after_one(number: int) -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), number)
    yield 2


def die_in_the_middle_of_a_result() -> Iterator[int]:
    yield 1
    os.write(int(sys.argv[1]), pickle.dumps(("result", "x" * 100))[:50])
    os._exit(3)


def exit_at_once() -> Iterator[int]:
    os._exit(3)
    yield 1


def test_a_process_hands_back_what_it_makes() -> None:
    assert list(results_of(count_to, 3)) == [0, 1, 2]


def test_a_killed_process_is_told_with_what_it_made_before() -> None:
    made = []
    with pytest.raises(ChildDied, match="the process was killed by signal 9"):
        for value in results_of(die_after_one, signal.SIGKILL):
            made.append(value)
    assert made == [1]


FOREVER = """
import os, time
def work():
    yield os.getpid()
    time.sleep(600)
"""
PARENT = """
import sys
from baichuan_cli.bench.child import results_of
from forever import work
results = results_of(work)
print(next(results), flush=True)
sys.stdin.read()
"""


def test_a_process_does_not_outlive_the_one_that_is_killed(tmp_path: Path) -> None:
    from fakes.served import no_process_left  # not at the top: the processes here import this module without it

    (tmp_path / "forever.py").write_text(FOREVER)
    command, variables = [sys.executable, "-c", PARENT], os.environ | {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    no_process_left([pid])


def test_half_a_result_is_none() -> None:
    results = results_of(die_in_the_middle_of_a_result)
    assert next(results) == 1
    with pytest.raises(ChildDied, match="ended with exit code 3"):
        next(results)


def test_a_process_that_ends_is_told() -> None:
    with pytest.raises(ChildDied, match="ended with exit code 3"):
        list(results_of(exit_at_once))
