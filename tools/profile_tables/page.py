"""One page: what runs, what it takes, which settings, what is said, and what becomes of some wishes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby

from baichuan_cli.catalog.model import Model
from baichuan_cli.hardware.machine import Machine
from baichuan_cli.plan.draft import show
from baichuan_cli.plan.explain import explain
from baichuan_cli.plan.model import Finding, Plan
from baichuan_cli.sizes import GIB
from profile_tables.markdown import table
from profile_tables.memory import MEMORY_HEAD, memory_lines
from profile_tables.plans import Planned, findings, general_finding, plan, plan_all, rows, runs
from profile_tables.scenes import Question, Scene


def page(profile: str, title: str, scenes: Sequence[Scene], models: Mapping[str, Model]) -> str:
    """Return the page of a profile."""
    head = f"# {profile}: {title}\n\nWritten by `make docs`; [how to read it](../profiles.md#the-plans).\n"
    planned = [plan_all(profile, scene, models) for scene in scenes]
    numbers = _numbers(planned)
    shown: set[tuple[str, ...]] = set()
    parts = [_scene(profile, scene, plans, numbers, shown) for scene, plans in zip(scenes, planned, strict=True)]
    return "\n".join([head, *chain.from_iterable(parts)])


def _scene(
    profile: str, scene: Scene, planned: Planned, numbers: Mapping[Finding, str], shown: set[tuple[str, ...]]
) -> Iterator[str]:
    """Yield the parts about a machine; lines that the page has `shown` already are not repeated."""
    yield f"## {scene.title}\n\n{_described(scene.machine)}\n"
    verdicts = _verdicts(planned, numbers)
    yield "The same models run as above.\n" if (verdicts,) in shown else verdicts
    shown.add((verdicts,))
    settings = [(*row, *where) for row, places in rows(planned).items() for where in planned.spread(places)]
    said = findings(planned)
    told = [(numbers[each], _told(each), *where) for each in said for where in planned.spread(said[each])]
    asked = [_answer(profile, scene, planned.models, question) for question in scene.questions]
    for title, head, lines in (
        ("Memory", MEMORY_HEAD, memory_lines(planned, scene.machine)),
        ("Settings", ("setting", "value", "from", "because", "models", "releases"), settings),
        ("What bcli says", ("", "text", "models", "releases"), sorted(told, key=lambda line: _order(line[0]))),
        ("What becomes of wishes", ("model", "vLLM", "asked for", "answer"), asked),
    ):
        if new := [line for line in lines if line not in shown]:
            more = ", beyond the above" if len(new) < len(lines) else ""
            yield f"### {title}: {scene.title}{more}\n"
            yield table(head, new)
            shown.update(new)


def _described(machine: Machine) -> str:
    python = ".".join(map(str, machine.python))
    if not machine.devices:
        flags = ", ".join(sorted(machine.cpu_flags))
        return (
            f"{machine.cpu_cores} cores with {flags}; {machine.host_memory_bytes / GIB:.0f} GiB of memory;"
            f" Python {python}."
        )
    card = machine.devices[0]
    assert card.memory_bytes is not None
    memory = f"{card.memory_bytes / GIB:.3g} GiB"
    return f"{len(machine.devices)} × {card.name} ({card.architecture}), {memory} each; Python {python}."


def _numbers(all_planned: Sequence[Planned]) -> dict[Finding, str]:
    """Return R1, R2 and so on for the refusals of a page, and W1, W2 for its warnings."""
    numbers: dict[Finding, str] = {}
    counts = Counter[str]()
    for finding in dict.fromkeys(finding for planned in all_planned for finding in findings(planned)):
        letter = finding.severity[0].upper()
        counts[letter] += 1
        numbers[finding] = f"{letter}{counts[letter]}"
    return numbers


def _order(number: str) -> tuple[str, int]:
    return number[0], int(number[1:])


def _verdicts(planned: Planned, numbers: Mapping[Finding, str]) -> str:
    """Return models by releases; neighbouring releases with the same verdicts share a column."""
    columns = {release: [_verdict(made, numbers) for made in planned.column(release)] for release in planned.releases}
    shared = [(list(group), column) for column, group in groupby(planned.releases, key=lambda each: columns[each])]
    head = ["model", *(runs(group, planned.releases)[0] for group, _ in shared)]
    return table(
        head, ([name, *cells] for name, *cells in zip(planned.models, *(column for _, column in shared), strict=True))
    )


def _verdict(made: Plan, numbers: Mapping[Finding, str]) -> str:
    said = " ".join(sorted({numbers[general_finding(finding, made)] for finding in made.findings}, key=_order))
    cards = made.settings["tensor_parallel_size"].value
    runs_as = f"{made.settings['dtype'].value}{f', {cards} cards' if cards != 1 else ''}"
    return f"{'**refused**' if made.refusals else runs_as} {said}".rstrip()


def _told(finding: Finding) -> str:
    forced = "\n(`--force` tries all the same)" if finding.forceable else ""
    return "\n".join(filter(None, (finding.message, finding.hint))) + forced


def _answer(profile: str, scene: Scene, models: Mapping[str, Model], question: Question) -> tuple[str, ...]:
    alike = next(model for name, model in models.items() if question.model in name.split(", "))
    model = replace(alike, name=question.model)
    made = plan(profile, scene, model, question)
    before = plan(profile, scene, model, Question(question.model, question.release))
    asked = [f"`{name} {show(value)}`" for name, value in question.asked.items()]
    asked += [f"`{name}={value}` exported" for name, value in question.exported.items()]
    new = [finding for finding in made.findings if finding not in before.findings or finding.severity == "refusal"]
    parts = [f"**{finding.severity}**: {_told(finding)}" for finding in new]
    if not made.refusals:
        known = set(explain(before))
        changed = [row for row in explain(made) if row not in known and row.setting != "others"]
        parts.append("runs with" if changed else "runs")
        parts += [f"`{row.setting}={row.value}` ({row.source}{row.reason and f': {row.reason}'})" for row in changed]
    return question.model, question.release, ", ".join(asked) or "the model alone", "\n".join(parts)
