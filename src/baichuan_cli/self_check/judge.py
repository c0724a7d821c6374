"""Comparing what an engine said with the float32 pass: right as far as its rounding allows, or wrong, and how.

A 16-bit engine cannot agree with float32. How far its rounding alone leads is measured: the pass is run once more
with that rounding. An engine is right when its mean error is at most twice that, and its largest at most four times;
engines that are right are found near one (docs/benchmarks.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from baichuan_cli.self_check.causes import Cause, known_causes, right_way
from baichuan_cli.self_check.forward import Asked, Computation, Scores, Shape, Weights, scores
from baichuan_cli.self_check.rounding import EXACT, Rounding

if TYPE_CHECKING:
    from baichuan_cli.catalog.model import Model

_MEAN_FACTOR = 2
_LARGEST_FACTOR = 4

#: An engine with a flaw may also be coarser than planned, by three bits of mantissa: bfloat16 in place of float16.
_COARSER = 8


@dataclass(frozen=True, slots=True)
class Reply:
    """What an engine said to one prompt.

    Attributes:
        prompt: token ids.
        answer: the greedy token ids that it made.
        told: log-probabilities as (row, token, value); row r is about the token after the first r + 1.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    told: tuple[tuple[int, int, float], ...]

    @property
    def greedy(self) -> list[int]:
        """Return where in `told` the tokens of the answer stand."""
        chosen = {(len(self.prompt) - 1 + step, token) for step, token in enumerate(self.answer)}
        return [number for number, (row, token, _) in enumerate(self.told) if (row, token) in chosen]

    @property
    def asked(self) -> Asked:
        """Return what the float32 pass is asked, to compare with it."""
        return Asked(
            (*self.prompt, *self.answer), len(self.prompt), tuple((row, token) for row, token, _ in self.told)
        )


@dataclass(frozen=True, slots=True)
class Error:
    """Differences of log-probabilities."""

    mean: float
    largest: float

    @classmethod
    def of(cls, differences: Sequence[float]) -> Error:
        """Sum up differences; one that is no number makes both infinite."""
        if not all(map(math.isfinite, differences)):
            return cls(math.inf, math.inf)
        return cls(sum(differences) / len(differences), max(differences))

    def within(self, rounding: Error, coarser: float = 1) -> bool:
        """Tell whether rounding explains it, or one that is coarser by a factor; nothing explains what is infinite."""
        if not (math.isfinite(self.mean) and math.isfinite(rounding.mean)):
            return False
        mean, largest = _MEAN_FACTOR * coarser * rounding.mean, _LARGEST_FACTOR * coarser * rounding.largest
        return self.mean <= mean and self.largest <= largest


@dataclass(frozen=True, slots=True)
class Fit:
    """How well answers fit one computation."""

    error: Error  # of the engine
    rounding: Error  # of rounding alone
    behind: float  # the largest by which a token of a greedy answer is less likely than the likeliest one

    @property
    def holds(self) -> bool:
        """Tell whether rounding explains all that is between the two."""
        near_tie = 2 * _LARGEST_FACTOR * self.rounding.largest
        return self.error.within(self.rounding) and self.behind <= near_tie

    def holds_coarsely(self, right: Fit) -> bool:
        """Tell whether coarser rounding explains it, and the right computation is far from the answers."""
        return self.error.within(self.rounding, _COARSER) and self.error.mean * _COARSER <= right.error.mean


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison came to.

    Attributes:
        right: the fit to the right computation.
        compared: how many log-probabilities.
        tried: the known causes with their fits, the nearest first; empty where the answers are right.
    """

    right: Fit
    compared: int
    tried: tuple[tuple[Cause, Fit], ...] = ()

    @property
    def passed(self) -> bool:
        """Tell whether the answers are right, be it coarsely."""
        return self.right.holds or (self.cause is not None and self.cause[0].harmless)

    @property
    def cause(self) -> tuple[Cause, Fit] | None:
        """Return the known cause that explains wrong answers, with its fit; None where none does."""
        exactly = ((cause, fit) for cause, fit in self.tried if fit.holds)
        coarsely = ((cause, fit) for cause, fit in self.tried if fit.holds_coarsely(self.right))
        return next(chain(exactly, coarsely), None)


def judge(
    replies: Sequence[Reply],
    weights: Weights,
    shape: Shape,
    model: Model,
    rounding: Rounding,
    *,
    shards: int = 1,
    progress: Callable[[int], None] = lambda layer: None,
) -> Verdict:
    """Compare what an engine said with the float32 pass; of wrong answers find the cause.

    Args:
        replies: what the engine said.
        weights: of the checkpoint.
        shape: of the model.
        model: as its files have it.
        rounding: of the engine, as planned.
        shards: over how many cards the engine's layers are split.
        progress: called with each layer that the pass has done.

    Raises:
        BcliError: the weights cannot be read.
    """
    [right] = _fits(replies, weights, shape, [right_way(model)], rounding, progress)
    compared = sum(len(reply.told) for reply in replies)
    if right.holds:
        return Verdict(right, compared)
    causes = list(known_causes(model, shards, rounding))
    fits = _fits(replies, weights, shape, [cause.flawed for cause in causes], rounding, progress)
    tried = sorted(zip(causes, fits, strict=True), key=lambda pair: (not pair[1].holds, pair[1].error.mean))
    return Verdict(right, compared, tuple(tried))


def _fits(
    replies: Sequence[Reply],
    weights: Weights,
    shape: Shape,
    computations: Iterable[Computation],
    rounding: Rounding,
    progress: Callable[[int], None],
) -> list[Fit]:
    """Return how well the replies fit each computation, which is run exactly and with rounding."""
    pairs = [_exact_and_rounded(computation, rounding) for computation in computations]
    both = [computation for pair in pairs for computation in pair]
    found = scores(weights, shape, [reply.asked for reply in replies], both, progress=progress)
    exact, rounded = found[::2], found[1::2]
    return [
        Fit(_of_engine(replies, a), _between(a, b), _behind(replies, a)) for a, b in zip(exact, rounded, strict=True)
    ]


def _exact_and_rounded(computation: Computation, rounding: Rounding) -> tuple[Computation, Computation]:
    """Return a computation in float32 and as coarsely as planned, or as coarsely as the computation is by itself."""
    if computation.rounding != EXACT:
        return replace(computation, rounding=EXACT), computation
    return computation, replace(computation, rounding=rounding)


def _of_engine(replies: Sequence[Reply], exact: Scores) -> Error:
    said = [value for reply in replies for _, _, value in reply.told]
    meant = [value for places in exact.places for value in places.tolist()]
    return Error.of([abs(a - b) for a, b in zip(said, meant, strict=True)])


def _between(exact: Scores, rounded: Scores) -> Error:
    return Error.of([gap for a, b in zip(exact.places, rounded.places, strict=True) for gap in (a - b).abs().tolist()])


def _behind(replies: Sequence[Reply], exact: Scores) -> float:
    behind = [
        (best - places)[reply.greedy].amax().item()
        for reply, places, best in zip(replies, exact.places, exact.best, strict=True)
        if reply.greedy
    ]
    return float(max(behind, default=0.0))
