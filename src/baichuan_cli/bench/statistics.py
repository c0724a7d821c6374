"""The statistics of a run, in plain Python so that a report needs nothing but bcli.

Definitions are those of numpy and scipy, and the tests hold them to that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

CONFIDENCE = 0.95

_RESAMPLES = 2000
#: Above this many samples the mean is normal for every purpose here, and resampling would only cost time.
_ENOUGH_FOR_NORMAL = 500
#: scipy's own limit for the exact distribution of U.
_EXACT_UP_TO = 8


class Interval(NamedTuple):
    """A confidence interval; an end that the samples cannot bound is None."""

    low: float | None
    high: float | None


def sample_deviation(samples: Sequence[float]) -> float:
    """Return the standard deviation over n - 1; 0 for a single sample."""
    return stdev(samples) if len(samples) > 1 else 0.0


def percentile(ordered: Sequence[float], q: float) -> float:
    """Return the q-th percentile of ascending samples, interpolated linearly as `numpy.percentile` does.

    Args:
        ordered: at least one sample, ascending.
        q: 0 to 100.
    """
    place = (len(ordered) - 1) * q / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def percentile_interval(ordered: Sequence[float], q: float, confidence: float = CONFIDENCE) -> Interval:
    """Return a confidence interval of the q-th percentile that assumes nothing about the distribution.

    The number of samples below the true percentile is binomial, so two of the samples themselves are the ends. Each
    end errs at most (1 - confidence) / 2 of the time; with too few samples there is no such end.
    """
    count, share = len(ordered), q / 100
    tail = (1 - confidence) / 2
    cumulative, low, high = 0.0, None, None
    for below in range(count + 1):
        # Before adding: P(at most below - 1 samples are below the percentile).
        if cumulative <= tail and below > 0:
            low = ordered[below - 1]
        cumulative += _binomial(count, below, share)
        if high is None and cumulative >= 1 - tail:
            high = ordered[below] if below < count else None
            break
    return Interval(low, high)


def _binomial(count: int, hits: int, share: float) -> float:
    if share in (0.0, 1.0):
        return float(hits == count * share)
    logarithm = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
    return math.exp(logarithm + hits * math.log(share) + (count - hits) * math.log1p(-share))


def relative_change_interval(
    old: Sequence[float], new: Sequence[float], confidence: float = CONFIDENCE, *, seed: int = 0
) -> Interval:
    """Return a bootstrap interval of mean(new) / mean(old) - 1; no interval where one side has one sample.

    Both sides are resampled; a side of many samples has its mean drawn from the normal distribution instead.
    """
    if min(len(old), len(new)) < 2 or fmean(old) == 0:
        return Interval(None, None)
    draw = random.Random(seed)
    changes = sorted(
        mean_new / mean_old - 1
        for mean_old, mean_new in zip(_resampled_means(old, draw), _resampled_means(new, draw), strict=True)
        if mean_old
    )
    tail = 100 * (1 - confidence) / 2
    return Interval(percentile(changes, tail), percentile(changes, 100 - tail))


def _resampled_means(samples: Sequence[float], draw: random.Random) -> list[float]:
    if len(samples) > _ENOUGH_FOR_NORMAL:
        mean, error = fmean(samples), stdev(samples) / math.sqrt(len(samples))
        return [draw.gauss(mean, error) for _ in range(_RESAMPLES)]
    return [fmean(draw.choices(samples, k=len(samples))) for _ in range(_RESAMPLES)]


def mann_whitney(old: Sequence[float], new: Sequence[float]) -> float:
    """Return the two-sided p-value of the Mann-Whitney U test: how likely such a difference is by chance.

    Exact for few samples without ties, else normal with corrections for ties and continuity: what
    `scipy.stats.mannwhitneyu` does by itself.
    """
    ranks, ties = _ranks([*old, *new])
    u_old = sum(ranks[: len(old)]) - len(old) * (len(old) + 1) / 2
    largest = max(u_old, len(old) * len(new) - u_old)
    if not ties and min(len(old), len(new)) <= _EXACT_UP_TO:
        counts = _u_counts(*sorted((len(old), len(new))))  # the same either way, and much sooner this way
        return min(1.0, 2 * sum(counts[int(largest) :]) / sum(counts))
    total = len(old) + len(new)
    tied = sum(size**3 - size for size in ties) / (total * (total - 1))
    deviation = math.sqrt(len(old) * len(new) / 12 * (total + 1 - tied))
    if deviation == 0:
        return 1.0
    z = (largest - len(old) * len(new) / 2 - 0.5) / deviation
    return min(1.0, 2 * NormalDist().cdf(-z))


def _ranks(samples: Sequence[float]) -> tuple[list[float], list[int]]:
    """Return each sample's rank from 1, the mean rank where several are equal, and the sizes of such groups."""
    order = sorted(range(len(samples)), key=samples.__getitem__)
    ranks, ties = [0.0] * len(samples), []
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and samples[order[end]] == samples[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        if end - start > 1:
            ties.append(end - start)
        start = end
    return ranks, ties


def _u_counts(first: int, second: int) -> list[int]:
    """Return in how many orders of the samples U is 0, 1, 2 and so on: coefficients of a Gaussian binomial."""
    counts = [1] + [0] * (first * second)
    for size in range(1, first + 1):
        for u in range(first * second, second + size - 1, -1):  # times 1 - x^(second + size)
            counts[u] -= counts[u - second - size]
        for u in range(size, first * second + 1):  # divided by 1 - x^size
            counts[u] += counts[u - size]
    return counts
