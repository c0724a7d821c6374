"""The plans of one machine, and how what they have in common is told in few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from baichuan_cli.catalog.model import Model
from baichuan_cli.hardware.load import load_profile
from baichuan_cli.hardware.profile import Profile
from baichuan_cli.plan.explain import Row, explain
from baichuan_cli.plan.layers import from_command_line
from baichuan_cli.plan.model import Finding, Layer, Plan
from baichuan_cli.plan.release import Release
from baichuan_cli.plan.resolve import resolve
from profile_tables.scenes import Question, Scene

_NO_PROFILES_OF_YOURS = Path("/nonexistent")
_HOME = {"HOME": "$HOME"}

#: Words for kinds of models, in the order in which they are tried alone and then in pairs.
_KINDS: Mapping[str, Callable[[Model], bool]] = {
    "RoPE": lambda model: model.architecture.position_embedding == "rope",
    "ALiBi": lambda model: model.architecture.position_embedding == "alibi",
    "not quantized": lambda model: model.quantization is None,
    "GPTQ": lambda model: model.quantization is not None and model.quantization.method == "gptq",
    "AWQ": lambda model: model.quantization is not None and model.quantization.method == "awq",
    "bfloat16 weights": lambda model: model.weights_dtype == "bfloat16",
    "float16 weights": lambda model: model.weights_dtype == "float16",
}


_MOST_EXCEPTIONS = 2


class Place(NamedTuple):
    """Which of a scene's plans."""

    model: str
    release: str


@dataclass(frozen=True, slots=True)
class Planned:
    """All plans of one scene."""

    models: Mapping[str, Model]
    releases: Sequence[str]
    plans: Mapping[Place, Plan]

    def column(self, release: str) -> list[Plan]:
        """Return the plans of one release, in the order of the models."""
        return [self.plans[Place(name, release)] for name in self.models]

    def spread(self, places: Iterable[Place]) -> list[tuple[str, str]]:
        """Return places as models and releases, in as few lines as have the same models."""
        by_release: dict[str, list[str]] = {release: [] for release in self.releases}
        for place in places:
            by_release[place.release].append(place.model)
        releases_of: dict[tuple[str, ...], list[str]] = {}
        for release, names in by_release.items():
            if names:
                releases_of.setdefault(tuple(names), []).append(release)
        return [(self._models(names), self._releases(releases)) for names, releases in releases_of.items()]

    def _models(self, names: Sequence[str]) -> str:
        kinds = {
            word: {name for name, model in self.models.items() if is_one(model)} for word, is_one in _KINDS.items()
        }
        pairs = {f"{a}, {b}": kinds[a] & kinds[b] for a in kinds for b in kinds if a < b}
        groups = {"all": set(self.models), **kinds, **pairs}
        for but in range(_MOST_EXCEPTIONS + 1):
            for words, members in groups.items():
                exceptions = [name for name in self.models if name in members and name not in names]
                if len(names) > 1 and members.issuperset(names) and len(exceptions) == but:
                    return f"{words} but {'; '.join(exceptions)}" if but else words
        return "; ".join(names)

    def _releases(self, releases: Sequence[str]) -> str:
        return "all" if len(releases) == len(self.releases) else ", ".join(runs(releases, self.releases))


def runs(some: Sequence[str], of: Sequence[str]) -> list[str]:
    """Return releases with those that follow each other as one: "0.9.2 to 0.15.1"."""
    told: list[list[str]] = []
    for release in some:
        if told and of.index(release) == of.index(told[-1][-1]) + 1:
            told[-1].append(release)
        else:
            told.append([release])
    return [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in told]


def plan_all(profile: str, scene: Scene, models: Mapping[str, Model]) -> Planned:
    """Return the plan of every model on every release of a scene."""
    plans = {
        Place(name, release): plan(profile, scene, model, Question(name, release))
        for name, model in models.items()
        for release in scene.releases
    }
    return Planned(models, scene.releases, plans)


@cache
def shipped_profile(name: str) -> Profile:
    """Return a profile that comes with bcli."""
    return load_profile(name, user_dir=_NO_PROFILES_OF_YOURS)


def plan(profile: str, scene: Scene, model: Model, question: Question) -> Plan:
    """Return the plan for a model and what is asked for beyond it; sampling, which no card decides, left out."""
    made = resolve(
        model,
        shipped_profile(profile),
        Release.parse(question.release),
        scene.machine,
        (Layer("environment", environment={**_HOME, **question.exported}), *from_command_line(question.asked)),
    )
    return replace(made, sampling={})


def rows(planned: Planned) -> dict[Row, list[Place]]:
    """Return the lines of every `--explain` table, each with the plans that it stands in; no line on what is left."""
    found: dict[Row, list[Place]] = {}
    for place, made in planned.plans.items():
        for row in explain(made)[:-1]:
            found.setdefault(Row(*(general(text, made) for text in row)), []).append(place)
    # A setting's lines stand together, at the place where it first comes.
    order = list(dict.fromkeys(row.setting for row in found))
    return {row: found[row] for row in sorted(found, key=lambda row: order.index(row.setting))}


def findings(planned: Planned) -> dict[Finding, list[Place]]:
    """Return everything that is said against the plans, refusals first, each with the plans that it is said of."""
    found: dict[Finding, list[Place]] = {}
    for place, made in planned.plans.items():
        for finding in made.findings:
            found.setdefault(general_finding(finding, made), []).append(place)
    return {finding: found[finding] for finding in sorted(found, key=lambda finding: finding.severity)}


def general_finding(finding: Finding, made: Plan) -> Finding:
    """Return a finding as it would be for any model and release."""
    return replace(finding, message=general(finding.message, made), hint=general(finding.hint, made))


def general(text: str, made: Plan) -> str:
    """Return a text with placeholders for the model and the release."""
    return text.replace(made.model.name, "MODEL").replace(f"vLLM {made.release}", "vLLM RELEASE")
