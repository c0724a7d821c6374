"""When requests arrive: at random, evenly, in bursts, ever faster, or all at once."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import accumulate

from baichuan_cli.bench.record import Value
from baichuan_cli.errors import BcliError


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How requests arrive.

    Attributes:
        rate: requests a second at the start; infinite: all at once.
        final_rate: requests a second at the end; the rate changes evenly in between.
        burstiness: shape of the gamma distribution of the gaps. 1 is Poisson, less comes in bursts, more is more even,
            infinite is exactly even.
    """

    rate: float = math.inf
    final_rate: float | None = None
    burstiness: float = 1.0

    @property
    def mean_rate(self) -> float:
        """Return the requests a second that are asked for over the whole run."""
        return self.rate if self.final_rate is None else (self.rate + self.final_rate) / 2

    @property
    def shape(self) -> dict[str, Value]:
        """Return the arrivals for a record."""
        if math.isinf(self.rate):
            return {"request_rate": "inf"}
        rate: Value = self.rate if self.final_rate is None else f"{self.rate:g}..{self.final_rate:g}"
        return {"request_rate": rate, "burstiness": "inf" if math.isinf(self.burstiness) else self.burstiness}

    def times(self, count: int, seed: int) -> list[float]:
        """Return when each request is sent, in seconds since the start.

        The gaps are scaled so that the last request is due at count / mean_rate: the rate that was asked for is the
        rate that is offered, whatever was drawn.
        """
        if math.isinf(self.rate):
            return [0.0] * count
        due = list(accumulate(_gaps(count, self.burstiness, random.Random(seed))))
        return [self._ramped(time / due[-1]) * count / self.mean_rate for time in due]

    def _ramped(self, done: float) -> float:
        """Return at which share of the time a share of the requests has come, with a rate that changes evenly."""
        if self.final_rate is None or math.isclose(self.final_rate, self.rate):  # the root below would cancel out
            return done
        first, growth = self.rate / self.mean_rate, (self.final_rate - self.rate) / self.mean_rate
        # first * t + growth / 2 * t² = done
        return (math.sqrt(first**2 + 2 * growth * done) - first) / growth


def _gaps(count: int, burstiness: float, draw: random.Random) -> list[float]:
    if math.isinf(burstiness):
        return [1.0] * count
    return [draw.gammavariate(burstiness, 1 / burstiness) for _ in range(count)]


def read_rate(text: str, burstiness: float, *, constant: bool) -> Arrivals:
    """Read `--request-rate`: a number, `inf`, or a ramp such as `1..8`.

    Raises:
        BcliError: it is none of these.
    """
    first, dots, last = text.partition("..")
    shape = math.inf if constant else burstiness
    try:
        rates = [float(first), *([float(last)] if dots else [])]
    except ValueError:
        rates = [math.nan]
    if any(math.isnan(rate) or rate <= 0 for rate in rates) or (dots and any(map(math.isinf, rates))):
        raise BcliError(
            f"--request-rate {text!r} is no rate.",
            hint="Write requests a second, such as 4, inf for all at once, or 1..8 for a ramp.",
        )
    return Arrivals(rates[0], rates[1] if dots else None, shape)
