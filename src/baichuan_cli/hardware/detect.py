"""Pick the profile for this machine: a ladder from cheap looks at files to slow questions to vendors' tools.

    found = detect()
    found.profile_name, found.reason  # "k100-ai", "8 × K100_AI (gfx928, 64.0 GiB)"

A machine without a card is known after the first rungs, within milliseconds; no tool is started there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from baichuan_cli.hardware.cards import VENDOR_NAMES, Vendor, profile_of
from baichuan_cli.hardware.host import look_at_host
from baichuan_cli.hardware.machine import Device, Machine
from baichuan_cli.hardware.probes import (
    Look,
    Step,
    device_files,
    kernel_modules,
    kfd_topology,
    pci_cards,
    summarize,
    torch_build,
)
from baichuan_cli.hardware.system import System
from baichuan_cli.hardware.tools import hy_smi, nvidia_smi, rocminfo, torch_devices
from baichuan_cli.hardware.visible import visible_devices

#: Where cards of several vendors can be used, the first of these is taken: an AMD one is often the display's.
_PREFERENCE: tuple[Vendor, ...] = ("hygon", "nvidia", "amd")
_TOOLS: Mapping[Vendor, Sequence[Callable[[System], Look]]] = {
    "hygon": (hy_smi, partial(rocminfo, folder="/opt/dtk")),
    "nvidia": (nvidia_smi,),
    "amd": (partial(rocminfo, folder="/opt/rocm"),),
}


@dataclass(frozen=True, slots=True)
class Detection:
    """The outcome, and each step that led to it."""

    steps: tuple[Step, ...]
    profile_name: str
    reason: str  # why this profile, in words for a person
    machine: Machine


def detect(system: System | None = None) -> Detection:
    """Look at this machine and pick a shipped profile; `cpu` where no card can be used."""
    system = system or System()
    pci, modules, files, kfd = (look(system) for look in (pci_cards, kernel_modules, device_files, kfd_topology))
    steps = [pci.step, modules.step, files.step, kfd.step]

    def on_cpu(reason: str) -> Detection:
        return Detection(tuple(steps), "cpu", reason, look_at_host(system))

    sure = pci.vendors | modules.vendors | kfd.vendors
    vendor = _reachable(sure, files.vendors, system)
    if vendor is None:
        names = " and ".join(VENDOR_NAMES[each] for each in _PREFERENCE if each in sure)
        return on_cpu(f"a card of {names}, but no file in /dev to reach it" if names else "no accelerator found")

    step, built_for = torch_build(system)
    steps.append(step)
    if built_for is not None and vendor not in built_for:
        return on_cpu(f"no card can be used: {step.saw}")

    asked, vendor, devices = _ask(system, vendor, _better(pci.devices, kfd.devices), torch_installed=bool(built_for))
    steps += asked
    if devices:
        step_or_none, devices = visible_devices(system, vendor, devices)
        if step_or_none is not None:
            steps.append(step_or_none)
            if not devices:
                return on_cpu(f"{step_or_none.looked_at} hides every card")
    elif vendor not in sure:
        return on_cpu("a file in /dev for a card, but nothing that names one")

    profile_name = profile_of(vendor, devices[0].architecture if devices else "")
    if not profile_name:
        return on_cpu(f"a Hygon card that bcli does not know: {summarize(devices) or 'no tool names it'}")
    reason = summarize(devices) or f"a card of {VENDOR_NAMES[vendor]}, but no tool says which"
    if files.obstacle:
        reason += f"; {files.obstacle}"
    return Detection(tuple(steps), profile_name, reason, look_at_host(system, devices))


def _reachable(sure: frozenset[Vendor], with_files: frozenset[Vendor], system: System) -> Vendor | None:
    """Return whose card is both there and reachable through /dev."""
    if sure:
        return next((vendor for vendor in _PREFERENCE if vendor in sure & with_files), None)
    # A sandbox may hide /sys but not /dev. Hygon's and AMD's cards share /dev/kfd; Hygon's userland tells them apart.
    if "hygon" in with_files:
        return "hygon" if any(system.path(path).exists() for path in ("/opt/hyhal", "/opt/dtk")) else "amd"
    return "nvidia" if "nvidia" in with_files else None


def _ask(
    system: System, vendor: Vendor, devices: tuple[Device, ...], *, torch_installed: bool
) -> tuple[list[Step], Vendor, tuple[Device, ...]]:
    """Ask tools until each card's architecture and memory are known; torch only for the architecture."""
    steps: list[Step] = []
    for tool in _TOOLS[vendor]:
        if _all_named(devices) and all(device.memory_bytes is not None for device in devices):
            break
        look = tool(system)
        steps.append(look.step)
        devices = _better(devices, look.devices)
        vendor = next(iter(look.vendors), vendor)
    if torch_installed and not _all_named(devices):
        look = torch_devices(system, vendor)
        steps.append(look.step)
        devices = _better(devices, look.devices)
    return steps, vendor, devices


def _better(known: tuple[Device, ...], new: tuple[Device, ...]) -> tuple[Device, ...]:
    return new if _all_named(new) or not known else known


def _all_named(devices: tuple[Device, ...]) -> bool:
    return bool(devices) and all(device.architecture for device in devices)
