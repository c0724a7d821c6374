"""Which cards a person lets their programs see: CUDA_VISIBLE_DEVICES and its sisters."""

from __future__ import annotations

from baichuan_cli.hardware.cards import Vendor
from baichuan_cli.hardware.machine import Device
from baichuan_cli.hardware.probes import Step, summarize
from baichuan_cli.hardware.system import System

_ROCM = ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


def visible_devices(
    system: System, vendor: Vendor, devices: tuple[Device, ...]
) -> tuple[Step | None, tuple[Device, ...]]:
    """Return the cards that the environment leaves, in its order; no step where it says nothing.

    As CUDA and HIP do it, the list ends at the first number that is no card. A UUID is taken as any card.
    """
    variables = ("CUDA_VISIBLE_DEVICES",) if vendor == "nvidia" else _ROCM
    name = next((each for each in variables if each in system.environment), None)
    if name is None:
        return None, devices
    value = system.environment[name]
    chosen: list[Device] = []
    for item in value.split(","):
        item = item.strip()
        if item.startswith(("GPU-", "MIG-")):
            chosen.append(devices[0])
        elif item.isdecimal() and int(item) < len(devices):
            chosen.append(devices[int(item)])
        else:
            break
    kept = tuple(chosen)
    return Step(f"{name}={value}", summarize(kept) or "hides every card"), kept
