"""From the latencies of a batch size to its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baichuan_cli.bench.record import Metric, Value, metric

if TYPE_CHECKING:
    from baichuan_cli.bench.offline import BatchLatency
    from baichuan_cli.bench.record import Ceiling
    from baichuan_cli.bench.roofline import Load


def latency_metrics(run: BatchLatency, load: Load, ceiling: Ceiling, *, uniform: bool) -> list[Metric]:
    """Return first token, per output token and whole, in milliseconds a request, and MBU of decoding.

    Args:
        uniform: all prompts and answers of the batch have one length; otherwise MBU is not known.
    """
    at: dict[str, Value] = {"batch_size": run.batch_size}
    named = (("ttft_ms", run.first_token), ("tpot_ms", run.per_output_token), ("e2e_ms", run.whole))
    found = [
        metric(name, "ms", "lower", [1000 * each for each in seconds], at=at, per="request")
        for name, seconds in named
        if seconds
    ]
    rates = [each.output_tokens / each.seconds for each in run.batch]
    found.append(metric("output_tokens_per_s", "tokens/s", "higher", rates, at=at))
    if ceiling.bandwidth_gb_s and uniform and run.per_output_token:
        shares = [
            load.mbu(run.batch_size, _mean_context(run), step, ceiling.bandwidth_gb_s) for step in run.per_output_token
        ]
        found.append(metric("decode_mbu", "1", "higher", shares, at=at, per="request"))
    return found


def _mean_context(run: BatchLatency) -> float:
    """Return the tokens in a sequence's cache in the middle of its decoding."""
    answers = [completion for each in run.batch for completion in each.completions]
    return sum(each.prompt_tokens + each.completion_tokens / 2 for each in answers) / len(answers)
