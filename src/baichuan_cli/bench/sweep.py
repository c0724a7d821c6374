"""A sweep: which points there are, in which order, what is left to do, and where the knee lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from baichuan_cli.bench.child import ChildDied
from baichuan_cli.bench.points import Point, point_key

if TYPE_CHECKING:
    from baichuan_cli.bench.record import Value

#: What changes from point to point on one engine; everything else needs a new one.
LOADS = ("input_len", "output_len", "batch_size")

At = Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class Group:
    """Points that one engine measures: what the engine is, and the loads."""

    engine: At
    points: tuple[At, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process that measures a group says: a point, or that its engine did not start."""

    point: Point
    started: bool = True
    engine_lives: bool = True


#: Measures points of a group in a fresh process, in their order; ends early where the engine is lost.
Measure = Callable[[At, Sequence[At]], Iterator[Answer]]


def groups(engines: Mapping[str, Sequence[Value]], loads: Mapping[str, Sequence[Value]]) -> list[Group]:
    """Return every combination, one group for each engine, the lightest loads first."""
    points = sorted(_combinations(loads), key=_weight)
    return [Group(engine, tuple({**engine, **point} for point in points)) for engine in _combinations(engines)]


def _combinations(values: Mapping[str, Sequence[Value]]) -> list[dict[str, Value]]:
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def _weight(point: At) -> int:
    """Return the tokens of a load; a load that is too heavy then fails last."""
    sizes = {name: int(str(point[name])) for name in LOADS}
    return sizes["batch_size"] * (sizes["input_len"] + sizes["output_len"])


def run(todo: Sequence[Group], done: Sequence[Point], measure: Measure) -> Iterator[Point]:
    """Measure what is not done yet and yield each point as it is finished; failing points are results too.

    An engine that is lost at a point takes only that point with it: the rest of the group gets a new one. An engine
    that does not start fails its whole group at once.
    """
    finished = {point.key for point in done}
    for group in todo:
        left = [at for at in group.points if point_key(at) not in finished]
        while left:
            for answer in _answers(group, left, measure):
                if not answer.started:
                    yield from (answer.point.model_copy(update={"at": at}) for at in left)
                    left = []
                    break
                yield answer.point
                left = [at for at in left if point_key(at) != answer.point.key]


def _answers(group: Group, left: Sequence[At], measure: Measure) -> Iterator[Answer]:
    told = 0
    try:
        for answer in measure(group.engine, left):
            yield answer
            told += 1
            if not answer.engine_lives:
                return
    except ChildDied as death:
        if told < len(left):  # one that dies after the last point dies of closing its engine
            yield Answer(Point(at=left[told], error=f"{death}, perhaps out of memory"))


@dataclass(frozen=True, slots=True)
class Knee:
    """The batch size beyond which throughput costs more waiting than it is worth."""

    at: At  # everything but the batch size
    batch_size: int


def knees(points: Sequence[Point]) -> list[Knee]:
    """Return for each engine and lengths the batch size with the most throughput over latency.

    That is Kleinrock's power: while batches are cheap it grows, and once throughput is flat it falls. No knee where
    fewer than three sizes were measured, or where the largest of them has the most: then it lies beyond.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        if point.record is None:
            continue
        rate, seconds = point.record.find("output_tokens_per_s"), point.record.find("run_s")
        if rate is None or seconds is None:
            continue
        rest = {name: value for name, value in point.at.items() if name != "batch_size"}
        power = rate.summary.mean / seconds.summary.mean
        curves.setdefault(point_key(rest), []).append((int(str(point.at["batch_size"])), power))
    found = []
    for key, curve in curves.items():
        best = max(curve, key=lambda each: each[1])[0]
        if len(curve) > 2 and best != max(size for size, _ in curve):
            found.append(Knee(json.loads(key), best))
    return found
