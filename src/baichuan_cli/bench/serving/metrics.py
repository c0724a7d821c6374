"""From what became of the requests to metrics, failures, and what makes the run less than fair."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from baichuan_cli.bench.record import Failure, Metric, metric
from baichuan_cli.bench.serving.goals import meets
from baichuan_cli.bench.statistics import percentile

if TYPE_CHECKING:
    from baichuan_cli.bench.serving.arrivals import Arrivals
    from baichuan_cli.bench.serving.load import Sample
    from baichuan_cli.bench.serving.server_metrics import ServerMetrics

#: Where one request in a hundred is later than this, the client and not the asked rate decided the load.
_TOLERATED_LATENESS = 0.01  # seconds
_TOLERATED_HITS = 0.01


@dataclass(frozen=True, slots=True)
class LoadRun:
    """One repeat: every request, and what the server said meanwhile."""

    samples: Sequence[Sample]
    server: ServerMetrics

    @property
    def answered(self) -> list[Sample]:
        """Return the requests whose whole answer came."""
        return [sample for sample in self.samples if sample.ok]

    @property
    def seconds(self) -> float:
        """Return the time from the start to the end of the last answer."""
        return max((sample.sent + (sample.finished or 0.0) for sample in self.answered), default=0.0)

    @property
    def sent_rate(self) -> float | None:
        """Return the requests a second that were really sent; None where all were due at once."""
        last = max(sample.sent for sample in self.samples)
        return len(self.samples) / last if self.samples[-1].due > 0 and last > 0 else None


def serving_metrics(runs: Sequence[LoadRun], goals: Mapping[str, float]) -> list[Metric]:
    """Return latencies over the requests of all repeats, and rates of each repeat; failed requests are in neither."""
    answered = [sample for run in runs for sample in run.answered]
    if not answered:
        return []
    found = [
        _latency("ttft_ms", [sample.chunks[0] for sample in answered]),
        _latency("tpot_ms", [tpot for sample in answered if (tpot := sample.tpot) is not None]),
        _latency("itl_ms", [gap for sample in answered for gap in _gaps(sample.chunks)], per="token"),
        _latency("e2e_ms", [sample.finished or 0.0 for sample in answered]),
    ]
    whole = [run for run in runs if run.answered]
    rates: list[tuple[str, str, list[float]]] = [
        ("output_tokens_per_s", "tokens/s", [_tokens(run, output=True) / run.seconds for run in whole]),
        (
            "total_tokens_per_s",
            "tokens/s",
            [(_tokens(run, output=True) + _tokens(run, output=False)) / run.seconds for run in whole],
        ),
        ("requests_per_s", "requests/s", [len(run.answered) / run.seconds for run in whole]),
    ]
    if goals:
        good = [sum(meets(sample, goals) for sample in run.answered) / run.seconds for run in whole]
        rates.append(("goodput_per_s", "requests/s", good))
    sent = [rate for run in runs if (rate := run.sent_rate) is not None]
    if sent:
        rates.append(("achieved_rate_per_s", "requests/s", sent))
    found += [metric(name, unit, "higher", values) for name, unit, values in rates]
    return [each for each in found if each is not None]


def _latency(name: str, seconds: Sequence[float], per: Literal["request", "token"] = "request") -> Metric | None:
    return metric(name, "ms", "lower", [1000 * each for each in seconds], per=per) if seconds else None


def _gaps(chunks: Sequence[float]) -> list[float]:
    return [after - before for before, after in zip(chunks, chunks[1:], strict=False)]


def _tokens(run: LoadRun, *, output: bool) -> int:
    return sum(sample.output_tokens if output else sample.prompt_tokens for sample in run.answered)


def failures(runs: Sequence[LoadRun]) -> tuple[Failure, ...]:
    """Return the kinds of failure, the most frequent first."""
    kinds = Counter(sample.error or "The answer was empty." for run in runs for sample in run.samples if not sample.ok)
    return tuple(Failure(error=error, count=count) for error, count in kinds.most_common())


def marks(runs: Sequence[LoadRun], arrivals: Arrivals, *, asked_input: int | None) -> list[str]:
    """Return what makes the run less than fair: a late client, cached prompts, estimated tokens, other lengths."""
    found = []
    answered = [sample for run in runs for sample in run.answered]
    late = sorted(sample.started - sample.due for run in runs for sample in run.samples)
    if not math.isinf(arrivals.rate) and (worst := percentile(late, 99)) > _TOLERATED_LATENESS:
        found.append(f"the client itself fell behind: 1 request in 100 was sent {1000 * worst:.0f} ms late or more")
    cached = hit_rate(runs)
    if cached is not None and cached > _TOLERATED_HITS:
        found.append(f"the prefix cache answered {cached:.0%} of the prompt tokens")
    if any(sample.estimated for sample in answered):
        found.append("the server tells no token counts: tokens are estimated from the pieces of the answers")
    lengths = {sample.prompt_tokens for sample in answered if not sample.estimated}
    if asked_input is not None and lengths - {asked_input}:
        found.append(f"prompts have {min(lengths)} to {max(lengths)} tokens, not {asked_input}")
    return found


def hit_rate(runs: Sequence[LoadRun]) -> float | None:
    """Return the share of prompt tokens from the prefix cache, by `/metrics`, else by the answers; None: not told."""
    told = [run.server for run in runs if run.server.hit_rate is not None]
    if told:
        return sum(server.hits or 0 for server in told) / sum(server.queries or 0 for server in told)
    known = [sample for run in runs for sample in run.answered if sample.cached_tokens is not None]
    tokens = sum(sample.prompt_tokens for sample in known)
    return sum(sample.cached_tokens or 0 for sample in known) / tokens if tokens else None


def series(run: LoadRun) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return what a run looks like over time: the server's metrics, tokens a second, and each request."""
    found = {name: tuple(values) for name, values in run.server.series.items()}
    buckets = Counter(int(sample.sent + chunk) for sample in run.answered for chunk in sample.chunks)
    last = max(buckets, default=-1)
    found["chunks_per_s"] = tuple((float(second), float(buckets[second])) for second in range(last + 1))
    found["ttft_ms"] = tuple((sample.sent, 1000 * sample.chunks[0]) for sample in run.answered)
    found["e2e_ms"] = tuple((sample.sent, 1000 * (sample.finished or 0.0)) for sample in run.answered)
    found["failed"] = tuple((sample.sent, 1.0) for sample in run.samples if not sample.ok)
    return found
