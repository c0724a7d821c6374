"""What this card and the person's environment rule out."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Outcome, Refuse, Warn
from baichuan_cli.plan.rules.plugins import ALLOWED_PLUGINS, others


def architecture(draft: Draft) -> Iterator[Outcome]:
    """Refuse a card that vLLM does not support, and warn where the profile is about other cards than these."""
    hardware = draft.profile.hardware
    devices = {} if draft.profile.kind == "cpu" else {device.architecture: device for device in draft.machine.devices}
    for found, device in devices.items():
        if found in hardware.unsupported_architectures:
            yield Refuse(f"{device.name} ({found}): {hardware.unsupported_architectures[found]}.")
        elif found and hardware.architectures and found not in hardware.architectures:
            yield Warn(
                f"profile {draft.profile.name} is about {', '.join(hardware.architectures)}, and this machine has"
                f" {device.name} ({found})",
                "See what fits: bcli profiles detect",
            )


def environment(draft: Draft) -> Iterator[Outcome]:
    """Warn of exported variables that do harm on this hardware.

    A list of plugins that names more than bcli's was made for this hardware: nobody else has reason to write one.
    """
    for name, reason in draft.profile.forbidden_environment.items():
        if name == ALLOWED_PLUGINS and others(draft.exported.get(name, "")):
            continue
        if name in draft.exported:
            yield Warn(f"{name}={draft.exported[name]} is set: {reason}", f"unset {name}")


def cpu_kernels(draft: Draft) -> Iterator[Outcome]:
    """Refuse vLLM 0.5.0 on a processor without AVX-512: its kernels for the CPU were written in nothing else.

    AVX2 came with 0.5.1.
    """
    if draft.profile.kind == "cpu" and draft.release.matches("<0.5.1") and "avx512f" not in draft.machine.cpu_flags:
        yield Refuse(
            f"vLLM {draft.release} on the CPU needs AVX-512, which this processor does not have.",
            "Use vLLM 0.5.1 or later.",
        )
