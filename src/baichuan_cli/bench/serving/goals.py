"""Service level objectives: which answers were fast enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from baichuan_cli.bench.serving.load import Sample

_NAMES: Mapping[str, str] = {"ttft": "ttft", "tpot": "tpot", "e2e": "e2e", "e2el": "e2e"}


def read_goals(text: str) -> dict[str, float]:
    """Read `--slo`: limits in milliseconds such as `ttft:200,tpot:50`, by "ttft", "tpot" and "e2e".

    Raises:
        BcliError: an unknown name, or a limit that is no positive number.
    """
    goals = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, limit = part.partition(":")
        try:
            milliseconds = float(limit)
        except ValueError:
            milliseconds = 0.0
        if name.lower() not in _NAMES or not 0 < milliseconds < float("inf"):
            raise BcliError(
                f"--slo: {part!r} is no limit.",
                hint="Write milliseconds of ttft, tpot and e2e, such as ttft:200,tpot:50",
            )
        goals[_NAMES[name.lower()]] = milliseconds
    return goals


def meets(sample: Sample, goals: Mapping[str, float]) -> bool:
    """Tell whether an answer kept every limit; one token has no TPOT and keeps that limit."""
    assert sample.finished is not None
    reached = {"ttft": sample.chunks[0], "tpot": sample.tpot or 0.0, "e2e": sample.finished}
    return all(1000 * reached[name] <= limit for name, limit in goals.items())
