"""What the vLLM release can do at all."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Drop, Forbid, Outcome, Refuse, Set, Warn
from baichuan_cli.plan.releases import KNOWN, NEWEST, NOT_TOO_OLD, OLDEST, removed_setting, required_python


def known_release(draft: Draft) -> Iterator[Outcome]:
    """Refuse releases before the first that bcli knows, and warn of those after the last."""
    if not draft.release.matches(NOT_TOO_OLD):
        yield Forbid(
            f"vLLM {draft.release} is too old: bcli knows {OLDEST} to {NEWEST}.", f"Install vLLM {OLDEST} or later."
        )
    elif not draft.release.matches(KNOWN):
        yield Warn(f"vLLM {draft.release} is newer than bcli knows ({OLDEST} to {NEWEST}); settings may have changed")


def python(draft: Draft) -> Iterator[Outcome]:
    """Refuse a Python that the release does not run on."""
    needed = required_python(draft.release)
    if draft.machine.python < needed:
        has = ".".join(map(str, draft.machine.python))
        needs = ".".join(map(str, needed))
        yield Refuse(
            f"vLLM {draft.release} needs Python {needs} or later; this is {has}.",
            f"Use Python {needs}, or an older vLLM.",
        )


def hardware_release(draft: Draft) -> Iterator[Outcome]:
    """Refuse a release that is not known to run on this hardware; what is too old for any was refused before."""
    supported = draft.profile.hardware.vllm
    if draft.release.matches(NOT_TOO_OLD) and not draft.release.matches(supported):
        yield Refuse(
            f"vLLM {draft.release} is outside {supported}, what {draft.profile.name} runs.",
            "Use a vLLM in this range, or another --profile.",
        )


def unsupported_setting(draft: Draft) -> Iterator[Outcome]:
    """Leave out settings that this release does not have."""
    for name, setting in draft.settings.items():
        if setting.value is not None and (reason := removed_setting(name, draft.release)):
            yield Drop(name, reason)


def pinned(draft: Draft) -> Iterator[Outcome]:
    """Pass what vLLM would choose differently from release to release."""
    if draft.settings["gpu_memory_utilization"].source == "vLLM default":
        yield Set("gpu_memory_utilization", 0.9, "vLLM's own default changed from 0.9 to 0.92")
    if draft.settings["seed"].source == "vLLM default":
        yield Set("seed", 0, "vLLM's own default was none for some releases")
