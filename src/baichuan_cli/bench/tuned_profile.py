"""The profile that tuning writes: the chosen settings on top of the profile that was used, with the evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from baichuan_cli.bench.table import NAMES, number
from baichuan_cli.bench.tune import METRICS, Goal, Trial, chosen_settings

if TYPE_CHECKING:
    from baichuan_cli.bench.compare import Change
    from baichuan_cli.bench.record import Record
    from baichuan_cli.hardware.profile import Profile


def tuned_profile(
    profile: Profile, extends: str, baseline: Record, trials: Sequence[Trial], confirmed: Change, goal: Goal
) -> str:
    """Return the YAML of a profile that extends the one used.

    Args:
        extends: name or path of the profile that was used.
        baseline: the run with that profile's own settings.
        trials: everything that was tried, in order.
        confirmed: the chosen settings against the profile's own, measured again in turn.
    """
    shape = " · ".join(f"{name.replace('_', ' ')} {value}" for name, value in baseline.shape.items())
    lines = [
        f"# Written by bcli bench tune on {baseline.started:%Y-%m-%d}, for {goal}.",
        f"# Measured: {baseline.model.name} · {shape} · {_software(baseline)}",
        f"# {alone(profile, baseline, goal)}",
        *(f"# {trial.told}" for trial in trials),
        f"# Confirmed in turn with {profile.name} alone: {confirmed.change:+.1%} (p {confirmed.p_value:.3f})",
        f"extends: {json.dumps(extends, ensure_ascii=False)}",
        f"title: {json.dumps(f'{profile.title}, tuned for {goal} of {baseline.model.name}', ensure_ascii=False)}",
        "",
        "settings:",
    ]
    evidence = {trial.name: trial.change for trial in trials if trial.taken}
    for name, value in chosen_settings(trials).items():
        change = evidence[name]
        assert change is not None
        because = f"{NAMES[METRICS[goal]]} {change.change:+.1%} (p {change.p_value:.3f}, measured by bcli bench tune)"
        lines.append(f"  {name}: {{value: {json.dumps(value)}, because: {json.dumps(because)}}}")
    return "\n".join(lines) + "\n"


def alone(profile: Profile, baseline: Record, goal: Goal) -> str:
    """Return in one line what the profile's own settings reach."""
    metric = baseline.find(METRICS[goal])
    assert metric is not None
    return f"{profile.name} alone: {NAMES[metric.name]} {number(metric.summary.mean, metric.unit)}"


def _software(record: Record) -> str:
    packages = record.environment.get("packages", {})
    versions = [f"{name} {version}" for name, version in packages.items() if name.startswith(("vllm", "torch"))]
    host = record.environment.get("host", {}).get("processor", "")
    cards = [str(card.get("name")) for card in record.environment.get("accelerators", ())]
    return " · ".join(filter(None, (*versions, ", ".join(cards) or host)))
