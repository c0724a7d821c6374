"""Every statistic equals numpy's or scipy's."""

from __future__ import annotations

import math
import random

import numpy
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.bench.statistics import (
    mann_whitney,
    percentile,
    percentile_interval,
    relative_change_interval,
    sample_deviation,
)

number = st.floats(min_value=-1e6, max_value=1e6)
samples = st.lists(number, min_size=1, max_size=60)
few_values = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=40)


@given(samples, st.floats(0, 100))
def test_percentiles_are_numpys(values: list[float], q: float) -> None:
    assert percentile(sorted(values), q) == pytest.approx(numpy.percentile(values, q), rel=1e-9, abs=1e-6)


@given(st.lists(number, min_size=2, max_size=60))
def test_the_deviation_is_numpys(values: list[float]) -> None:
    assert sample_deviation(values) == pytest.approx(numpy.std(values, ddof=1), rel=1e-6, abs=1e-6)


def test_one_sample_has_no_deviation() -> None:
    assert sample_deviation([3.0]) == 0


@given(st.lists(number, min_size=1, max_size=25, unique=True), st.lists(number, min_size=1, max_size=8, unique=True))
def test_mann_whitney_is_scipys(old: list[float], new: list[float]) -> None:
    assert mann_whitney(old, new) == pytest.approx(scipy.stats.mannwhitneyu(old, new).pvalue, abs=1e-9)


@given(few_values, few_values)
def test_mann_whitney_with_ties_is_scipys(old: list[float], new: list[float]) -> None:
    expected = scipy.stats.mannwhitneyu(old, new).pvalue
    assert mann_whitney(old, new) == pytest.approx(1.0 if math.isnan(expected) else expected, abs=1e-9)


@given(st.integers(2, 300), st.sampled_from([50, 90, 95, 99]))
def test_the_ends_of_a_percentile_interval_are_the_binomials(count: int, q: int) -> None:
    ordered = [float(rank) for rank in range(1, count + 1)]
    low, high = percentile_interval(ordered, q)
    below = scipy.stats.binom(count, q / 100)
    # P(X < rank) is the chance that the percentile lies below the sample of that rank.
    if low is None:
        assert below.cdf(0) > 0.025
    else:
        assert below.cdf(low - 1) <= 0.025 + 1e-9
        assert below.cdf(low) > 0.025 - 1e-9
    if high is None:
        assert below.cdf(count - 1) < 0.975 + 1e-9
    else:
        assert below.cdf(high - 1) >= 0.975 - 1e-9
        assert high == 1 or below.cdf(high - 2) < 0.975 + 1e-9


def test_a_percentile_interval_covers_the_truth_as_often_as_it_says() -> None:
    draw = random.Random(1)
    truth = -math.log(0.5)  # the median of the exponential distribution
    hits = 0
    for _ in range(400):
        low, high = percentile_interval(sorted(draw.expovariate(1) for _ in range(50)), 50)
        assert low is not None and high is not None
        hits += low <= truth <= high
    assert hits / 400 > 0.93


def test_the_interval_of_a_change_is_scipys_bootstrap() -> None:
    draw = random.Random(2)
    old = [draw.gauss(100, 5) for _ in range(40)]
    new = [draw.gauss(110, 5) for _ in range(40)]
    found = relative_change_interval(old, new)
    expected = scipy.stats.bootstrap(
        (old, new),
        lambda a, b, axis: numpy.mean(b, axis=axis) / numpy.mean(a, axis=axis) - 1,
        method="percentile",
        rng=numpy.random.default_rng(0),
    ).confidence_interval
    assert found.low == pytest.approx(expected.low, abs=0.004)
    assert found.high == pytest.approx(expected.high, abs=0.004)


def test_many_samples_give_the_interval_of_the_normal_distribution() -> None:
    draw = random.Random(3)
    old = [draw.gauss(100, 10) for _ in range(2000)]
    new = [draw.gauss(100, 10) for _ in range(2000)]
    low, high = relative_change_interval(old, new)
    assert low is not None and high is not None
    assert low < 0 < high or abs(low) < 0.01
    assert high - low == pytest.approx(2 * 1.96 * 0.1 * math.sqrt(2 / 2000), rel=0.15)


def test_a_single_sample_bounds_no_change() -> None:
    assert relative_change_interval([1.0], [2.0, 3.0]) == (None, None)
