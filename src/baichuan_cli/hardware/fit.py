"""Decide what a profile leaves to the machine: bfloat16 on some processors, none on old cards, FP8 on new ones."""

from __future__ import annotations

from baichuan_cli.hardware.machine import Machine
from baichuan_cli.hardware.profile import Condition, Profile


def fit(profile: Profile, machine: Machine) -> Profile:
    """Return the profile with its conditions about the machine decided.

    Of different cards the oldest one decides, for all of them have to do the same work. On a machine without the
    profile's kind of card these conditions stay undecided, which means that they do not hold.
    """
    card = _oldest_card(profile, machine)
    if card is None and profile.kind != "cpu":
        return profile
    flags = machine.cpu_flags if profile.kind == "cpu" else frozenset[str]()
    conditions = tuple(
        condition.model_copy(update={"architectures": (), "cpu_flags": ()})
        for condition in profile.conditions
        if _holds(condition, card, flags)
    )
    return profile.model_copy(update={"conditions": conditions})


def _holds(condition: Condition, card: str | None, flags: frozenset[str]) -> bool:
    return (not condition.architectures or card in condition.architectures) and (
        not condition.cpu_flags or not flags.isdisjoint(condition.cpu_flags)
    )


def _oldest_card(profile: Profile, machine: Machine) -> str | None:
    prefix = {"cuda": "sm_", "rocm": "gfx", "dcu": "gfx"}.get(profile.kind)
    if prefix is None:
        return None
    found = [device.architecture for device in machine.devices if device.architecture.startswith(prefix)]
    # sm_75 before sm_100, gfx906 before gfx90a before gfx1100: makers count upwards, in hexadecimal.
    return min(found, key=lambda architecture: (len(architecture), architecture), default=None)
