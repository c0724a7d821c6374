"""Two runs of the same shape against each other: what changed, and whether it is more than noise."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any, Literal

from baichuan_cli.bench.statistics import Interval, mann_whitney, relative_change_interval

if TYPE_CHECKING:
    from baichuan_cli.bench.record import Metric, Record, Value

Verdict = Literal["improved", "regressed", "noise", "too few samples"]

_SIGNIFICANCE = 0.05
#: With thousands of samples every difference is significant; one below this is called noise all the same.
_SMALLEST = 0.01


@dataclass(frozen=True, slots=True)
class Change:
    """One metric in both runs.

    Attributes:
        change: of the means, relative to the old one; positive is more, whether or not that is better.
        interval: 95 % confidence interval of the change; open where a side has a single sample.
        p_value: of the Mann-Whitney U test.
    """

    name: str
    unit: str
    at: Mapping[str, Value]
    old: float
    new: float
    change: float
    interval: Interval
    p_value: float
    verdict: Verdict
    better: Literal["higher", "lower"]

    @property
    def worse_by(self) -> float:
        """Return by how much it got worse; negative where it got better."""
        return -self.change if self.better == "higher" else self.change


def compare(old: Record, new: Record) -> list[Change]:
    """Return every metric that both runs have, in the order of the old one."""
    changes = []
    for metric in old.metrics:
        other = new.find(metric.name, metric.at)
        if other is not None and metric.summary.mean != 0:
            changes.append(_change(metric, other))
    return changes


def _change(old: Metric, new: Metric) -> Change:
    change = new.summary.mean / old.summary.mean - 1
    interval = relative_change_interval(old.samples, new.samples)
    p_value = mann_whitney(old.samples, new.samples)
    return Change(
        name=old.name,
        unit=old.unit,
        at=old.at,
        old=old.summary.mean,
        new=new.summary.mean,
        change=change,
        interval=interval,
        p_value=p_value,
        verdict=_verdict(old, new, change, interval, p_value),
        better=old.better,
    )


def _verdict(old: Metric, new: Metric, change: float, interval: Interval, p_value: float) -> Verdict:
    """Return what the change is: both the test and the interval must say that it is more than chance."""
    counts = len(old.samples), len(new.samples)
    if 2 / comb(sum(counts), counts[0]) > _SIGNIFICANCE:
        return "too few samples"  # no order of so few samples is unlikely enough
    excludes_none = interval.low is not None and interval.high is not None and not interval.low <= 0 <= interval.high
    if p_value > _SIGNIFICANCE or not excludes_none or abs(change) < _SMALLEST:
        return "noise"
    return "improved" if (change > 0) == (old.better == "higher") else "regressed"


def pair(old: Sequence[Record], new: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Return the runs of two sweeps that have the same shape and the same of each setting that either has varied.

    Two single runs are a pair whatever they are.
    """
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    names = varied(old) | varied(new)
    by_place = {_place(record, names): record for record in new}
    return [(record, by_place[_place(record, names)]) for record in old if _place(record, names) in by_place]


def varied(records: Sequence[Record]) -> set[str]:
    """Return the settings that were asked for with several values; what a plan derives from them does not count."""
    asked: dict[str, set[str]] = {}
    for record in records:
        for name, setting in record.settings.items():
            if setting.source.startswith("--"):
                asked.setdefault(name, set()).add(str(setting.value))
    return {name for name, values in asked.items() if len(values) > 1}


def setting_value(record: Record, name: str) -> object:
    """Return the value of a setting in a run; None where it has no such setting."""
    setting = record.settings.get(name)
    return setting.value if setting else None


def _place(record: Record, names: set[str]) -> str:
    settings = {name: str(setting_value(record, name)) for name in names}
    return json.dumps([record.kind, record.model.name, dict(record.shape), settings], sort_keys=True)


def differences_in_shape(old: Record, new: Record) -> list[str]:
    """Return what makes two runs no fair comparison: other kinds, models or loads."""
    mine: dict[str, Any] = {"kind": old.kind, "model": old.model.name, **old.shape}
    other: dict[str, Any] = {"kind": new.kind, "model": new.model.name, **new.shape}
    return _differences(mine, other)


def differences_in_set_up(old: Record, new: Record) -> list[str]:
    """Return what differs in settings, software and hardware: what the change may come from."""
    return _differences(_set_up(old), _set_up(new))


def _set_up(record: Record) -> dict[str, Any]:
    environment = record.environment
    settings = {name: setting.value for name, setting in {**record.settings, **record.variables}.items()}
    return {
        "profile": record.profile,
        "revision": record.model.revision,
        **settings,
        "bcli": environment.get("bcli"),
        "python": environment.get("python"),
        **environment.get("packages", {}),
        "processor": environment.get("host", {}).get("processor"),
        "cards": [card.get("name") for card in environment.get("accelerators", ())],
        "driver": [card.get("driver_version") for card in environment.get("accelerators", ())],
    }


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys((*old, *new))
    return [
        f"{name}: {_shown(old.get(name))} → {_shown(new.get(name))}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _shown(value: object) -> str:
    return "–" if value in (None, "", []) else str(value)
