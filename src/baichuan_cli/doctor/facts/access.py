"""How this process reaches the cards: device files and their groups, drivers, toolkits, libraries, variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from baichuan_cli.doctor.surroundings import Surroundings
from baichuan_cli.hardware.cards import Vendor, profile_of
from baichuan_cli.hardware.detect import Detection
from baichuan_cli.hardware.machine import Device
from baichuan_cli.hardware.probes import kernel_modules, kfd_topology, pci_cards, torch_build
from baichuan_cli.hardware.system import System

#: Hygon's HIP runtime; torch of a DCU build loads it by this name.
GALAXY = "libgalaxyhip.so"

#: Variables that choose cards, or hide what they are.
VARIABLES = (
    *("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    *("HSA_OVERRIDE_GFX_VERSION", "LD_LIBRARY_PATH"),
)

_HYGON_MODULES = ("hycu", "hydcu")
_VENDORS: Mapping[str, Vendor] = {"cuda": "nvidia", "rocm": "amd"}  # by profile; all others are about Hygon's cards
#: Of several vendors' cards the first counts, as in detection.
_PREFERENCE: tuple[Vendor, ...] = ("hygon", "nvidia", "amd")


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """A file in /dev through which a process reaches a card."""

    path: str
    may_open: bool
    group: str  # the owning group's name, or its number where this system has no name for it; empty when unknown
    group_id: int | None


@dataclass(frozen=True, slots=True)
class Access:
    """What stands between this process and the cards.

    Attributes:
        vendors: whose cards the kernel shows, whether they can be reached or not.
        seen: the cards that the kernel shows, in words.
        profile: of these cards, whether they can be reached or not; empty where it is not known.
        groups: names of the groups that this process is in.
        files: what there is of /dev/kfd, /dev/mkfd, /dev/dri/renderD*, /dev/nvidia* and /dev/dxg.
        driver: the version of the vendor's kernel module; empty where none is loaded or it is part of the kernel.
        toolkits: version by folder, of /opt/dtk and /opt/rocm; an empty version where the folder does not tell.
        hyhal: /opt/hyhal is there.
        galaxy: folders that hold libgalaxyhip.so.
        galaxy_found: the dynamic linker finds it.
        variables: what is exported of `VARIABLES`.
        torch_built_for: whose cards the installed torch was built for, by its version file; None without torch.
    """

    vendors: frozenset[Vendor]
    seen: str
    profile: str
    groups: tuple[str, ...]
    files: tuple[DeviceFile, ...]
    driver: str
    toolkits: Mapping[str, str]
    hyhal: bool
    galaxy: tuple[str, ...]
    galaxy_found: bool
    variables: Mapping[str, str]
    torch_built_for: frozenset[Vendor] | None


def look_at_access(surroundings: Surroundings, detection: Detection) -> Access:
    """Look at what leads to the cards that detection saw."""
    system = surroundings.system
    pci, modules, kfd = (probe(system) for probe in (pci_cards, kernel_modules, kfd_topology))
    vendors = pci.vendors | modules.vendors | kfd.vendors
    if not vendors and detection.machine.devices:  # a sandbox hides /sys, and a tool has named the cards
        vendors = frozenset({_VENDORS.get(detection.profile_name, "hygon")})
    names = _group_names(system)
    galaxy = _galaxy_folders(system)
    return Access(
        vendors=vendors,
        profile=next(filter(None, (_profile(vendor, pci.devices) for vendor in _PREFERENCE if vendor in vendors)), ""),
        seen=pci.step.saw if pci.vendors else detection.reason,
        groups=tuple(names.get(group, str(group)) for group in _own_groups(system)),
        files=tuple(_device_file(surroundings, path, names) for path in _device_paths(system)),
        driver=_driver(system, vendors),
        toolkits={
            folder: _toolkit(system, folder) for folder in ("/opt/dtk", "/opt/rocm") if _is_there(system, folder)
        },
        hyhal=_is_there(system, "/opt/hyhal"),
        galaxy=galaxy,
        galaxy_found=bool(galaxy) and _linked(system, galaxy),
        variables={name: system.environment[name] for name in VARIABLES if name in system.environment},
        torch_built_for=torch_build(system)[1],
    )


def _profile(vendor: Vendor, hygon_cards: tuple[Device, ...]) -> str:
    return profile_of(vendor, hygon_cards[0].architecture if hygon_cards else "")


def _is_there(system: System, path: str) -> bool:
    return system.path(path).exists()


def _device_paths(system: System) -> list[str]:
    single = [path for path in ("/dev/kfd", "/dev/mkfd") if _is_there(system, path)]
    return [*single, *system.glob("/dev/dri/renderD*"), *system.glob("/dev/nvidia[0-9]*"), *system.glob("/dev/dxg")]


def _device_file(surroundings: Surroundings, path: str, names: Mapping[int, str]) -> DeviceFile:
    system = surroundings.system
    owner = surroundings.owner(system.path(path))
    group = names.get(owner.group, str(owner.group)) if owner else ""
    return DeviceFile(path, system.may_open(system.path(path)), group, owner.group if owner else None)


def _group_names(system: System) -> dict[int, str]:
    rows = (line.split(":") for line in (system.read("/etc/group") or "").splitlines())
    return {int(row[2]): row[0] for row in rows if len(row) >= 3 and row[2].isdecimal()}


def _own_groups(system: System) -> list[int]:
    status = system.read("/proc/self/status") or ""
    found = [re.search(rf"^{name}:[ \t]*(.*)$", status, re.MULTILINE) for name in ("Gid", "Groups")]
    numbers = [int(text) for match in found if match for text in match[1].split()]
    return sorted(set(numbers))


def _driver(system: System, vendors: frozenset[Vendor]) -> str:
    if "hygon" in vendors:
        versions = (system.read(f"/sys/module/{module}/version") for module in _HYGON_MODULES)
        return next(filter(None, versions), "")
    if text := system.read("/proc/driver/nvidia/version"):
        release = re.search(r"\s(\d+(?:\.\d+)+)\s", text)
        return release[1] if release else ""
    return ""


def _toolkit(system: System, folder: str) -> str:
    for name in ("version", "version-dev"):
        if found := re.search(r"\d+(?:\.\d+)+", system.read(f"{folder}/.info/{name}") or ""):
            return found[0]
    return ""


def _galaxy_folders(system: System) -> tuple[str, ...]:
    searched = [*_library_path(system), "/opt/dtk/lib", "/opt/dtk/hip/lib", "/opt/hyhal/lib"]
    found = [folder for folder in dict.fromkeys(searched) if system.glob(f"{folder}/{GALAXY}*")]
    return tuple(found)


def _linked(system: System, folders: tuple[str, ...]) -> bool:
    if not set(_library_path(system)).isdisjoint(folders):
        return True
    return GALAXY in system.run([system.tool("ldconfig", "/sbin"), "-p"]).stdout


def _library_path(system: System) -> list[str]:
    return [folder.rstrip("/") for folder in system.environment.get("LD_LIBRARY_PATH", "").split(":") if folder]
