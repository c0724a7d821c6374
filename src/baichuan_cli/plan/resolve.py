"""Model × profile × release × what a person asks for: every setting decided, with where it came from and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from types import MappingProxyType

from baichuan_cli.catalog.model import Model
from baichuan_cli.hardware.fit import fit
from baichuan_cli.hardware.machine import Machine
from baichuan_cli.hardware.profile import Profile
from baichuan_cli.plan.draft import NORMAL_START, Draft, Purpose, Start, follow
from baichuan_cli.plan.first_draft import first_draft
from baichuan_cli.plan.model import Finding, Layer, Plan
from baichuan_cli.plan.release import Release
from baichuan_cli.plan.rules import RULES
from baichuan_cli.plan.sampling import resolve_sampling


def resolve(
    model: Model,
    profile: Profile,
    release: Release,
    machine: Machine,
    layers: Sequence[Layer] = (),
    *,
    force: bool = False,
    purpose: Purpose = "offline",
    start: Start = NORMAL_START,
) -> Plan:
    """Decide every setting.

    Later sources win: vLLM's default, the profile, the model, then the layers in their order. The rules then set what
    a person left open and speak up about what they asked for.

    Args:
        model: the checkpoint.
        profile: what the hardware can do and prefers.
        release: the vLLM that will run.
        machine: the machine it will run on; a profile about other hardware plans for a machine that is not here.
        layers: what a person asks for, in rising precedence.
        force: turn refusals about capability into warnings.
        purpose: an engine in this process, or a server.
        start: how the engine is to start.

    Returns:
        The plan. It says in its `findings` whether it may be used.

    Raises:
        BcliError: the profile, the generation config or an exported variable holds a value that makes no sense.
    """
    profile = fit(profile, machine)
    draft = first_draft(model, profile, release, machine, layers, purpose, start)
    ruled = _follow_all(draft)
    if ruled.tensor_parallel_size != draft.tensor_parallel_size:
        # The profile may want other things of several cards than of one, so decide everything again for them.
        size = ruled.settings["tensor_parallel_size"]
        ruled = _follow_all(first_draft(model, profile, release, machine, layers, purpose, start, ruled_size=size))
    return Plan(
        model=model,
        profile_name=profile.name,
        release=release,
        settings=MappingProxyType(dict(ruled.settings)),
        environment=MappingProxyType(dict(ruled.environment)),
        sampling=MappingProxyType(resolve_sampling(model, layers)),
        findings=tuple(_forced(finding) if force else finding for finding in ruled.findings),
    )


def _follow_all(draft: Draft) -> Draft:
    return reduce(lambda so_far, rule: follow(rule, so_far), RULES, draft)


def _forced(finding: Finding) -> Finding:
    return replace(finding, severity="warning") if finding.forceable else finding
