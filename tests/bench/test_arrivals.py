"""Arrivals: the asked rate is the offered rate, and the gaps have the distribution that was asked for."""

from __future__ import annotations

import math
from statistics import fmean, pvariance

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.bench.serving.arrivals import Arrivals, read_rate
from baichuan_cli.errors import BcliError

rates = st.floats(0.1, 1000)


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in zip([0.0, *times], times, strict=False)]


@given(st.integers(1, 300), rates, rates, st.floats(0.1, 10), st.integers(0, 100))
def test_requests_come_in_order_and_at_the_asked_rate(
    count: int, first: float, last: float, burstiness: float, seed: int
) -> None:
    times = Arrivals(first, last, burstiness).times(count, seed)
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] == pytest.approx(count / ((first + last) / 2))


def test_all_at_once() -> None:
    assert Arrivals().times(3, 0) == [0.0, 0.0, 0.0]


def test_even_intervals() -> None:
    assert Arrivals(4, burstiness=math.inf).times(4, 0) == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_poisson_gaps_are_exponential() -> None:
    found = gaps(Arrivals(10).times(5000, seed=3))
    assert scipy.stats.kstest(found, "expon", args=(0, 0.1)).pvalue > 0.01


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_burstiness_is_the_shape_of_a_gamma_distribution(burstiness: float) -> None:
    found = gaps(Arrivals(10, burstiness=burstiness).times(5000, seed=1))
    assert pvariance(found) / fmean(found) ** 2 == pytest.approx(1 / burstiness, rel=0.15)


def test_a_ramp_grows_evenly() -> None:
    times = Arrivals(1, 9, math.inf).times(500, 0)  # 100 s
    halves = sum(time < 50 for time in times), sum(time >= 50 for time in times)
    assert halves == pytest.approx((150, 350), abs=2)  # mean rates of 3 and 7


@pytest.mark.parametrize(
    ("text", "arrivals"),
    [("4", Arrivals(4.0)), ("inf", Arrivals()), ("1..8", Arrivals(1.0, 8.0)), ("0.5", Arrivals(0.5))],
)
def test_rates_as_people_write_them(text: str, arrivals: Arrivals) -> None:
    assert read_rate(text, 1.0, constant=False) == arrivals


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "nan", "1..", "1..inf", "4,5"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(BcliError, match="--request-rate"):
        read_rate(text, 1.0, constant=False)
