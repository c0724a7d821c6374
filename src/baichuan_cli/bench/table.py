"""A record as rows for people: names in words, units, and what the numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from baichuan_cli.bench.roofline import EXPECTED_MBU, EXPECTED_MFU, what_to_check

if TYPE_CHECKING:
    from baichuan_cli.bench.record import Metric, Record

NAMES = {
    "output_tokens_per_s": "output tokens/s",
    "total_tokens_per_s": "total tokens/s",
    "prompt_tokens_per_s": "prompt tokens/s",
    "requests_per_s": "requests/s",
    "run_s": "whole run",
    "prefill_s": "prefill",
    "prefill_tokens_per_s": "prefill tokens/s",
    "decode_tokens_per_s": "decode tokens/s",
    "decode_mbu": "decode MBU",
    "prefill_mfu": "prefill MFU",
    "ttft_ms": "TTFT",
    "tpot_ms": "TPOT",
    "itl_ms": "ITL",
    "e2e_ms": "end to end",
    "goodput_per_s": "goodput requests/s",
    "achieved_rate_per_s": "achieved rate requests/s",
}

#: The definition of each quantity, and what other tools call it.
DEFINITIONS = {
    "ttft_ms": "TTFT  time to first token: from sending to the first token (vLLM, guidellm, aiperf: TTFT)",
    "tpot_ms": "TPOT  (end to end - TTFT) / (output tokens - 1), a request (vLLM: TPOT; guidellm, aiperf: ITL)",
    "itl_ms": "ITL   every gap between two chunks of an answer (vLLM: ITL; aiperf: ICL)",
    "e2e_ms": "end to end  from sending to the last token (vLLM: E2EL; guidellm, aiperf: request latency)",
    "goodput_per_s": "goodput  requests a second that kept every limit of --slo (vLLM, aiperf: goodput)",
    "decode_mbu": "MBU   bytes that decoding must read a second / memory bandwidth",
    "prefill_mfu": "MFU   operations that prefill must do a second / peak",
}

RUN_COLUMNS = ("", "mean", "± sd", "min", "max")

_BARS = "▏▎▍▌▋▊▉█"
_BAR_WIDTH = 12


def number(value: float, unit: str = "") -> str:
    """Return a number with as many digits as tell something, and its unit where the name does not have it."""
    if unit == "1":
        return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"
    shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{shown} {unit}" if unit in ("ms", "s") else shown


def bar(value: float, largest: float) -> str:
    """Return a bar as long as the value's share of the largest."""
    eighths = round(8 * _BAR_WIDTH * value / largest) if largest > 0 else 0
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_BARS[rest - 1] if rest else "")


def run_rows(metrics: Sequence[Metric]) -> list[list[str]]:
    """Return a row for each metric that has one sample a run: name, mean, deviation, least, most."""
    return [
        [
            NAMES.get(metric.name, metric.name),
            number(metric.summary.mean, metric.unit),
            number(metric.summary.sd, metric.unit) if metric.summary.count > 1 else "–",
            number(metric.summary.min, metric.unit),
            number(metric.summary.max, metric.unit),
        ]
        for metric in metrics
        if metric.per == "run"
    ]


def percentile_table(metrics: Sequence[Metric]) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return columns, and a row for each metric that has a sample a request: mean and percentiles.

    Several batch sizes have a column of their own, and a bar of the median.
    """
    shown = [metric for metric in metrics if metric.per != "run" and metric.name != "decode_mbu"]
    largest = {
        metric.name: max(other.summary.percentiles["p50"].value for other in shown if other.name == metric.name)
        for metric in shown
    }
    several = len({str(metric.at) for metric in shown}) > 1
    rows = []
    for metric in shown:
        summary = metric.summary
        middle = summary.percentiles["p50"]
        rows.append(
            [
                NAMES.get(metric.name, metric.name),
                *([" ".join(f"{value}" for value in metric.at.values())] if several else []),
                number(summary.mean, metric.unit),
                *(number(summary.percentiles[name].value, metric.unit) for name in ("p50", "p90", "p95", "p99")),
                _interval(summary.percentiles["p99"].low, summary.percentiles["p99"].high),
                *([bar(middle.value, largest[metric.name])] if several else []),
            ]
        )
    columns = ("mean", "p50", "p90", "p95", "p99", "95 % interval of p99")
    return ("", "batch", *columns, "p50") if several else ("", *columns), rows


def _interval(low: float | None, high: float | None) -> str:
    return f"{'' if low is None else number(low)}–{'' if high is None else number(high)}"


def roofline_lines(record: Record) -> list[str]:
    """Return a line for each share of the hardware's ceiling, with the expected band and what to check below it."""
    lines = []
    for metric in record.metrics:
        if metric.name not in ("decode_mbu", "prefill_mfu"):
            continue
        ceiling = record.ceiling
        if metric.name == "decode_mbu":
            band, of = EXPECTED_MBU, f"of {number(ceiling.bandwidth_gb_s or 0)} GB/s ({ceiling.bandwidth_from})"
        else:
            band, of = EXPECTED_MFU, f"of {number(ceiling.peak_tflops or 0)} TFLOPS ({ceiling.peak_from})"
        mean = metric.summary.mean
        where = f" at batch {metric.at['batch_size']}" if metric.at else ""
        line = (
            f"{NAMES[metric.name]}{where} {number(mean, '1')} {of}, expected {100 * band[0]:.0f}–{100 * band[1]:.0f} %"
        )
        if mean < band[0]:
            line += f": {what_to_check(record, prefill=metric.name == 'prefill_mfu')}"
        elif mean > 1:
            line += ": above the ceiling, so this ceiling does not bound it"
        lines.append(line)
    return lines


def definitions(metrics: Sequence[Metric]) -> list[str]:
    """Return the definition of each quantity that occurs."""
    present = {metric.name for metric in metrics}
    return [text for name, text in DEFINITIONS.items() if name in present]
