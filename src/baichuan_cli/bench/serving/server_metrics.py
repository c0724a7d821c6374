"""What vLLM's `/metrics` says over time: requests that run and wait, the KV cache, and prefix-cache hits.

Names changed between releases; the first that a server has counts. Values of several engines behind one server are
added up, shares are averaged.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import ClientSession

#: What is kept as a series -> vLLM's names, newest first.
_GAUGES: Mapping[str, tuple[str, ...]] = {
    "running": ("num_requests_running",),
    "waiting": ("num_requests_waiting",),
    "kv_cache_usage": ("kv_cache_usage_perc", "gpu_cache_usage_perc"),  # renamed in 0.9.2
}
_SHARES = ("kv_cache_usage",)
_QUERIES = ("prefix_cache_queries_total", "gpu_prefix_cache_queries_total")
_HITS = ("prefix_cache_hits_total", "gpu_prefix_cache_hits_total")

_LINE = re.compile(r"^vllm:(\w+)(?:\{[^}]*\})?\s+(\S+)")
_SECONDS_BETWEEN = 0.5


def read_metrics(text: str) -> dict[str, list[float]]:
    """Return vLLM's own values by name without the prefix `vllm:`, one for each engine."""
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        if match := _LINE.match(line):
            found.setdefault(match[1], []).append(float(match[2]))
    return found


@dataclass(slots=True)
class ServerMetrics:
    """What was seen during a run.

    Attributes:
        series: by "running", "waiting" and "kv_cache_usage" (0 to 1), lists of (seconds, value).
        queries: prompt tokens that were looked for in the prefix cache during the run; None where it is not told.
        hits: those that were found there.
    """

    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    queries: float | None = None
    hits: float | None = None

    @property
    def hit_rate(self) -> float | None:
        """Return the share of prompt tokens that the prefix cache answered."""
        return None if not self.queries or self.hits is None else self.hits / self.queries

    @property
    def told(self) -> bool:
        """Tell whether the server has such metrics."""
        return bool(self.series)


class Watcher:
    """Looks at a server's metrics until it is told to stop.

    Args:
        url: the address of the server, without `/v1`.
        session: what to ask with; another than the load's, so that looking never waits behind it.
    """

    def __init__(self, url: str, session: ClientSession) -> None:
        self._url, self._session = f"{url}/metrics", session
        self._seen = ServerMetrics()
        self._before: tuple[float, float] | None = None
        self._started = perf_counter()

    async def begin(self) -> None:
        """Look for the first time; the series start here."""
        self._started = perf_counter()
        self._before = _cache_counts(await self._look())

    async def watch(self, stop: asyncio.Event) -> ServerMetrics:
        """Look again and again, and once more at the end; a server without metrics gives none."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), _SECONDS_BETWEEN)
            except asyncio.TimeoutError:
                await self._look()
        after = _cache_counts(await self._look())
        if self._before is not None and after is not None:
            self._seen.queries = after[0] - self._before[0]
            self._seen.hits = after[1] - self._before[1]
        return self._seen

    async def _look(self) -> dict[str, list[float]]:
        from aiohttp import ClientError

        try:
            async with self._session.get(self._url) as response:
                text = await response.text() if response.status == 200 else ""
        except (ClientError, asyncio.TimeoutError):
            return {}
        found = read_metrics(text)
        seconds = perf_counter() - self._started
        for name, spellings in _GAUGES.items():
            if values := _first(found, spellings):
                value = fmean(values) if name in _SHARES else sum(values)
                self._seen.series.setdefault(name, []).append((seconds, value))
        return found


def _first(found: Mapping[str, list[float]], spellings: tuple[str, ...]) -> list[float]:
    return next((found[name] for name in spellings if name in found), [])


def _cache_counts(found: Mapping[str, list[float]]) -> tuple[float, float] | None:
    queries, hits = _first(found, _QUERIES), _first(found, _HITS)
    return (sum(queries), sum(hits)) if queries and hits else None
