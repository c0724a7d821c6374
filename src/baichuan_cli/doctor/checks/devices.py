"""What a process needs to reach a card: device files and rights, the driver's userland, libraries, variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from baichuan_cli.doctor.checks.builds import wanted_vendor
from baichuan_cli.doctor.facts.access import GALAXY, DeviceFile
from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict, fail, ok, warn
from baichuan_cli.hardware.cards import Vendor

#: One file of each row must be there; how the row is called.
_KFD = (("/dev/kfd", ("/dev/kfd", "/dev/mkfd")), ("/dev/dri", ("/dev/dri/renderD",)))
_NEEDED: Mapping[Vendor, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "hygon": _KFD,
    "amd": _KFD,
    "nvidia": (("/dev/nvidia0", ("/dev/nvidia", "/dev/dxg")),),
}
_RUN: Mapping[Vendor, str] = {
    "hygon": "docker run --device=/dev/kfd --device=/dev/dri --group-add video -v /opt/hyhal:/opt/hyhal:ro …",
    "amd": "docker run --device=/dev/kfd --device=/dev/dri --group-add video …",
    "nvidia": "docker run --gpus all …",
}


def device_files(facts: Facts) -> Iterator[Verdict]:
    """Judge the files in /dev, and whether this user may open them."""
    vendor = wanted_vendor(facts)
    if vendor is None:
        return
    rows = _NEEDED[vendor]
    missing = [name for name, paths in rows if not any(file.path.startswith(paths) for file in facts.access.files)]
    ours = tuple(path for _, paths in rows for path in paths)
    files = [file for file in facts.access.files if file.path.startswith(ours)]
    closed = [file for file in files if not file.may_open]
    container = bool(facts.host.container)
    if missing:
        says = f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'}"
        if container:
            yield fail(
                "device-files",
                f"{says} not in this container",
                f"Start it with: {_RUN[vendor]}{_whole_command(facts)}",
            )
        else:
            yield fail("device-files", f"{says} missing", "Is the driver loaded? Its messages: sudo dmesg | tail")
    elif closed:
        names = ", ".join(file.path for file in closed)
        yield fail("device-files", f"this user may not open {names}", _join(closed[0], in_container=container))
    else:
        yield ok("device-files", ", ".join(file.path for file in files))


def hyhal(facts: Facts) -> Iterator[Verdict]:
    """Judge the part of Hygon's driver that programs load."""
    if wanted_vendor(facts) != "hygon":
        return
    if facts.access.hyhal:
        yield ok("hyhal", "/opt/hyhal, the driver's libraries")
    elif facts.host.container:
        yield fail(
            "hyhal",
            "/opt/hyhal, the driver's libraries, is not in this container",
            f"Mount it from the host: docker run -v /opt/hyhal:/opt/hyhal:ro …{_whole_command(facts)}",
        )
    else:
        yield fail("hyhal", "/opt/hyhal, the driver's libraries, is missing", "Install Hygon's driver.")


def library_path(facts: Facts) -> Iterator[Verdict]:
    """Judge whether Hygon's runtime library will be found. Where torch imports, it was."""
    access, torch = facts.access, facts.imports.torch
    if wanted_vendor(facts) != "hygon":
        return
    if torch is not None and torch.hip:
        yield ok("library-path", f"torch has loaded {GALAXY}")
    elif access.galaxy_found:
        yield ok("library-path", f"{GALAXY} in {access.galaxy[0]}")
    elif access.galaxy:
        yield fail(
            "library-path",
            f"{GALAXY} is in {access.galaxy[0]}, where programs do not look",
            "In the shell that starts bcli: source /opt/dtk/env.sh",
        )
    else:
        yield fail("library-path", f"{GALAXY} is not on this machine", "Use the vendor's image, or install DTK.")


def visible_devices(facts: Facts) -> Iterator[Verdict]:
    """Judge the variables that choose cards, where they contradict each other or hide everything."""
    vendor = wanted_vendor(facts)
    if vendor is None:
        return
    values = facts.access.variables
    hip, cuda = values.get("HIP_VISIBLE_DEVICES"), values.get("CUDA_VISIBLE_DEVICES")
    shown = ", ".join(f"{name}={value}" for name, value in values.items() if name.endswith("VISIBLE_DEVICES"))
    if vendor != "nvidia" and hip is not None and cuda is not None and hip != cuda:
        yield fail(
            "visible-devices",
            f"HIP_VISIBLE_DEVICES={hip} and CUDA_VISIBLE_DEVICES={cuda} contradict each other",
            "unset CUDA_VISIBLE_DEVICES; HIP_VISIBLE_DEVICES is enough",
        )
    elif shown and facts.detection.reason.endswith("hides every card"):
        variable = "CUDA_VISIBLE_DEVICES" if vendor == "nvidia" else "HIP_VISIBLE_DEVICES"
        yield fail("visible-devices", f"{shown}: no such card", f"Count from 0: export {variable}=0")
    elif facts.choice.profile == "z100l" and vendor == "hygon" and hip is None:
        yield warn(
            "visible-devices",
            "HIP_VISIBLE_DEVICES is not set, and the vendor says that this card needs it",
            "export HIP_VISIBLE_DEVICES=0",
        )
    else:
        yield ok("visible-devices", shown or "all cards")


def _whole_command(facts: Facts) -> str:
    profile = facts.access.profile
    return f"\nThe whole command: bcli docker --profile {profile}" if profile else ""


def _join(file: DeviceFile, *, in_container: bool) -> str:
    if in_container:
        # Inside, the host's group may have another name or none: the number counts.
        return f"docker run --group-add {file.group_id if file.group_id is not None else file.group or 'video'} …"
    groups = ",".join(dict.fromkeys(("video", file.group or "render")))
    return f"sudo usermod -aG {groups} $USER, then log in again"
