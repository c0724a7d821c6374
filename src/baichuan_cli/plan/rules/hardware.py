"""What this card and the person's environment rule out."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Outcome, Refuse, Warn


def architecture(draft: Draft) -> Iterator[Outcome]:
    """Refuse a card of the right kind that vLLM does not support."""
    unsupported = draft.profile.hardware.unsupported_architectures
    for device in draft.machine.devices:
        if device.architecture in unsupported:
            yield Refuse(f"{device.name} ({device.architecture}): {unsupported[device.architecture]}.")


def environment(draft: Draft) -> Iterator[Outcome]:
    """Warn of exported variables that do harm on this hardware."""
    for name, reason in draft.profile.forbidden_environment.items():
        if name in draft.exported:
            yield Warn(f"{name}={draft.exported[name]} is set: {reason}", f"unset {name}")
