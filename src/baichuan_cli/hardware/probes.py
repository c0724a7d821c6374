"""The rungs of detection that only read files: PCI, kernel modules, device files, KFD, torch's build."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from baichuan_cli.hardware.cards import PCI_CARD_CLASSES, PCI_VENDORS, VENDOR_NAMES, Vendor, hygon_card
from baichuan_cli.hardware.machine import Device
from baichuan_cli.hardware.system import System
from baichuan_cli.sizes import gibibytes

#: Memory on the card, public and private to the GPU (the kernel's uapi/linux/kfd_sysfs.h).
_CARD_HEAPS = (1, 2)


@dataclass(frozen=True, slots=True)
class Step:
    """What one rung looked at and what it saw, in words for a person."""

    looked_at: str
    saw: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one rung found: whose cards, and which."""

    step: Step
    vendors: frozenset[Vendor] = frozenset()
    devices: tuple[Device, ...] = ()
    obstacle: str = ""  # what keeps this user from the card


def summarize(devices: tuple[Device, ...]) -> str:
    """Return cards in words: `8 × K100_AI (gfx928, 64.0 GiB)`."""
    return ", ".join(f"{count} × {_describe(device)}" for device, count in Counter(devices).items())


def _describe(device: Device) -> str:
    memory = gibibytes(device.memory_bytes) if device.memory_bytes is not None else ""
    facts = ", ".join(fact for fact in (device.architecture, memory) if fact and fact != device.name)
    return f"{device.name} ({facts})" if facts else device.name


def pci_cards(system: System) -> Look:
    """Look for cards on the PCI bus; needs no driver and no rights."""
    where = "/sys/bus/pci/devices"
    vendors: set[Vendor] = set()
    devices: list[Device] = []
    words: Counter[str] = Counter()
    for folder in system.glob(f"{where}/*"):
        vendor = PCI_VENDORS.get(_hexadecimal(system, folder, "vendor"))
        if vendor is None:
            continue
        device_id = _hexadecimal(system, folder, "device")
        device = Device(*hygon_card(device_id)) if vendor == "hygon" else Device(f"{device_id:#06x}", "")
        if not device.architecture and _hexadecimal(system, folder, "class") >> 16 not in PCI_CARD_CLASSES:
            continue
        vendors.add(vendor)
        words[f"{VENDOR_NAMES[vendor]} {_describe(device)}"] += 1
        if vendor == "hygon":  # only Hygon's ids are known well enough to name a card
            devices.append(device)
    saw = ", ".join(f"{count} × {word}" for word, count in words.items())
    return Look(Step(where, saw or "no card of Hygon, NVIDIA or AMD"), frozenset(vendors), tuple(devices))


def kernel_modules(system: System) -> Look:
    """Look for the drivers of Hygon and NVIDIA; AMD's is part of the kernel and proves nothing."""
    seen: dict[Vendor, str] = {}
    for module in ("hycu", "hydcu"):
        if version := system.read(f"/sys/module/{module}/version"):
            seen["hygon"] = f"{module} {version}"
    if text := system.read("/proc/driver/nvidia/version"):
        release = re.search(r"\s(\d+(?:\.\d+)+)\s", text)
        seen["nvidia"] = f"nvidia {release[1]}" if release else "nvidia"
    step = Step("kernel modules hycu, hydcu, nvidia", ", ".join(seen.values()) or "none loaded")
    return Look(step, frozenset(seen))


def device_files(system: System) -> Look:
    """Look for the files through which a process reaches a card, and whether it may."""
    kfd = [path for path in ("/dev/kfd", "/dev/mkfd") if system.path(path).exists()]
    nvidia = [*system.glob("/dev/nvidia[0-9]*"), *system.glob("/dev/dxg")]
    closed = [path for path in (*kfd, *nvidia) if not system.may_open(system.path(path))]
    words = [f"{path} (not allowed to open)" if path in closed else path for path in (*kfd, *nvidia)]
    vendors: set[Vendor] = set()
    if kfd:
        vendors |= {"hygon", "amd"}
    if nvidia:
        vendors.add("nvidia")
    return Look(
        Step("/dev/kfd, /dev/mkfd, /dev/nvidia*, /dev/dxg", ", ".join(words) or "none"),
        frozenset(vendors),
        obstacle=f"this user may not open {', '.join(closed)}: join the groups video and render" if closed else "",
    )


def kfd_topology(system: System) -> Look:
    """Look at what the kernel's compute driver says: vendor, architecture and memory of AMD's and Hygon's cards."""
    where = "/sys/class/kfd/kfd/topology/nodes"
    vendors: set[Vendor] = set()
    devices: list[Device] = []
    for folder in system.glob(f"{where}/*"):
        properties = _properties(system.read(f"{folder}/properties"))
        vendor = PCI_VENDORS.get(properties.get("vendor_id", 0))
        target = properties.get("gfx_target_version", 0)
        if vendor not in ("hygon", "amd") or target == 0:
            continue
        architecture = f"gfx{target // 10000}{target // 100 % 100:x}{target % 100:x}"
        banks = (_properties(system.read(f"{bank}/properties")) for bank in system.glob(f"{folder}/mem_banks/*"))
        memory = sum(bank.get("size_in_bytes", 0) for bank in banks if bank.get("heap_type") in _CARD_HEAPS)
        name = hygon_card(properties.get("device_id", 0))[0] if vendor == "hygon" else architecture
        vendors.add(vendor)
        devices.append(Device(name, architecture, memory or None))
    return Look(Step(where, summarize(tuple(devices)) or "no card"), frozenset(vendors), tuple(devices))


def torch_build(system: System) -> tuple[Step, frozenset[Vendor] | None]:
    """Tell whose cards the installed torch was built for, without importing it; None where there is no torch."""
    folder = system.torch_folder()
    looked_at = "torch's version file"
    if folder is None:
        return Step(looked_at, "torch is not installed"), None
    try:
        text = (folder / "version.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Step(looked_at, f"{folder}/version.py cannot be read"), None
    built = dict(re.findall(r"^(\w+)[^=\n]*= *'([^'\n]+)'", text, flags=re.MULTILINE))
    version = built.get("__version__", "of unknown version")
    if "hip" in built:
        return Step(looked_at, f"torch {version} for ROCm {built['hip']}"), frozenset({"hygon", "amd"})
    if "cuda" in built:
        return Step(looked_at, f"torch {version} for CUDA {built['cuda']}"), frozenset({"nvidia"})
    return Step(looked_at, f"torch {version} for the CPU only"), frozenset()


def _hexadecimal(system: System, folder: str, name: str) -> int:
    try:
        return int(system.read(f"{folder}/{name}") or "", base=16)
    except ValueError:
        return 0


def _properties(text: str | None) -> dict[str, int]:
    """Return the lines `name number` of a KFD file."""
    pairs = (line.split() for line in (text or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
