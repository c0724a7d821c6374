"""The profile that would be chosen, and what the plan for it says."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.doctor.checks.builds import vllm_build
from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict, fail, ok, skip, warn


def profile(facts: Facts) -> Iterator[Verdict]:
    """Say which profile it is and why, and repeat what its plan refuses and warns of."""
    choice = facts.choice
    if choice.problem is not None:
        yield fail("profile", choice.problem.message, choice.problem.hint)
        return
    build = vllm_build(facts)
    if choice.kind == "cpu" and build not in (None, "cpu"):
        yield skip("profile", f"{choice.profile}, for want of a card: {choice.why}")
        return
    says = f"{choice.profile}: {choice.why}"
    if choice.plan is None:
        yield ok("profile", says)
        return
    yield ok("profile", f"{says}; {choice.plan.model.name} runs in {choice.plan.settings['dtype'].value}")
    for finding in choice.plan.refusals:
        yield fail("plan", finding.message, finding.hint)
    for finding in choice.plan.warnings:
        yield warn("plan", finding.message, finding.hint)
