"""From what a throughput run took to its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from baichuan_cli.bench.record import Metric, metric

if TYPE_CHECKING:
    from baichuan_cli.bench.offline import Pass, Throughput
    from baichuan_cli.bench.record import Ceiling, Value
    from baichuan_cli.bench.roofline import Load


def throughput_metrics(
    run: Throughput, *, nominal: tuple[int, int] | None = None, at: dict[str, Value] | None = None
) -> list[Metric]:
    """Return rates, and where prefill was measured apart, those of both stages.

    Args:
        run: what was measured.
        nominal: prompt and output tokens to count for each pass, whatever they really were.
        at: where in the run this was measured.
    """
    rates: dict[str, list[float]] = {}
    for each in run.whole:
        prompt, output = nominal or (each.prompt_tokens, each.output_tokens)
        for name, amount in (
            ("output_tokens_per_s", output),
            ("total_tokens_per_s", prompt + output),
            ("prompt_tokens_per_s", prompt),
            ("requests_per_s", len(each.completions)),
        ):
            rates.setdefault(name, []).append(amount / each.seconds)
    units = {"requests_per_s": "requests/s"}
    metrics = [metric(name, units.get(name, "tokens/s"), "higher", found, at=at) for name, found in rates.items()]
    metrics.append(metric("run_s", "s", "lower", [each.seconds for each in run.whole], at=at))
    return metrics + _stages(run, at)


def _stages(run: Throughput, at: dict[str, Value] | None) -> list[Metric]:
    """Return prefill, and decode as what the whole pass took beyond it."""
    prefill = run.prefill or run.whole
    if not run.prefill and any(each.output_tokens > len(each.completions) for each in run.whole):
        return []  # prefill was not measured
    found = [
        metric("prefill_s", "s", "lower", [each.seconds for each in prefill], at=at),
        metric(
            "prefill_tokens_per_s",
            "tokens/s",
            "higher",
            [each.prompt_tokens / each.seconds for each in prefill],
            at=at,
        ),
    ]
    pairs = [(whole, first) for whole, first in zip(run.whole, run.prefill, strict=False)]
    if pairs and all(whole.seconds > first.seconds for whole, first in pairs):
        rates = [
            (whole.output_tokens - len(whole.completions)) / (whole.seconds - first.seconds) for whole, first in pairs
        ]
        found.append(metric("decode_tokens_per_s", "tokens/s", "higher", rates, at=at))
    return found


def roofline_metrics(run: Throughput, load: Load, ceiling: Ceiling, *, at_once: int) -> list[Metric]:
    """Return MBU of decode and MFU of prefill, for prompts of one length that all run at the same time.

    Args:
        at_once: how many prompts the engine runs at the same time; with more of them the number of steps is unknown.
    """
    found = []
    prefill = run.prefill or run.whole
    if ceiling.peak_tflops:
        shares = [
            load.mfu([one.prompt_tokens for one in each.completions], each.seconds, ceiling.peak_tflops)
            for each in prefill
        ]
        found.append(metric("prefill_mfu", "1", "higher", shares))
    if ceiling.bandwidth_gb_s and run.prefill and len(run.whole[0].completions) <= at_once:
        shares = [
            load.mbu(len(whole.completions), _mean_context(whole), step, ceiling.bandwidth_gb_s)
            for whole, first in zip(run.whole, run.prefill, strict=True)
            if (step := (whole.seconds - first.seconds) / (_answer_length(whole) - 1)) > 0
        ]
        found += [metric("decode_mbu", "1", "higher", shares)] if shares else []
    return found


def _answer_length(each: Pass) -> float:
    return each.output_tokens / len(each.completions)


def _mean_context(each: Pass) -> float:
    """Return the tokens in a sequence's cache in the middle of its decoding."""
    return each.prompt_tokens / len(each.completions) + _answer_length(each) / 2


def lengths(passes: Sequence[Pass]) -> tuple[int, int]:
    """Return the fewest and the most prompt tokens that the engine really saw."""
    seen = [completion.prompt_tokens for each in passes for completion in each.completions]
    return min(seen), max(seen)
