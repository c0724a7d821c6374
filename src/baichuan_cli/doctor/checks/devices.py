"""What a process needs to reach a card: device files and rights, the driver's userland, libraries, variables."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.doctor.facts.access import GALAXY
from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict, fail, ok, warn

_HYGON_RUN = "docker run --device=/dev/kfd --device=/dev/dri --group-add video -v /opt/hyhal:/opt/hyhal:ro"
_AMD_RUN = "docker run --device=/dev/kfd --device=/dev/dri --group-add video"
_NVIDIA_RUN = "docker run --gpus all"


def device_files(facts: Facts) -> Iterator[Verdict]:
    """Judge the files in /dev, and whether this user may open them."""
    access = facts.access
    needed: tuple[str, ...]
    if "hygon" in access.vendors or "amd" in access.vendors:
        needed, run = ("/dev/kfd", "/dev/dri/render"), _HYGON_RUN if "hygon" in access.vendors else _AMD_RUN
    elif "nvidia" in access.vendors:
        needed, run = ("/dev/nvidia",), _NVIDIA_RUN
    else:
        return
    missing = [path.removesuffix("/render") for path in needed if not access.has(path)]
    closed = [file for file in access.files if not file.may_open]
    if missing:
        there = "are" if len(missing) > 1 else "is"
        where = "in this container" if facts.host.container else "here"
        fix = f"Start it with them: {run} …" if facts.host.container else "Is the driver loaded? Look at: dmesg | tail"
        yield fail("device-files", f"{' and '.join(missing)} {there} not {where}", fix)
    elif closed:
        yield fail(
            "device-files",
            f"this user may not open {', '.join(file.path for file in closed)}",
            _join(closed[0].group, closed[0].group_id, in_container=bool(facts.host.container)),
        )
    else:
        yield ok("device-files", ", ".join(file.path for file in access.files))


def hyhal(facts: Facts) -> Iterator[Verdict]:
    """Judge the part of Hygon's driver that programs load."""
    if "hygon" not in facts.access.vendors:
        return
    if facts.access.hyhal:
        yield ok("hyhal", "/opt/hyhal, the driver's libraries")
    elif facts.host.container:
        yield fail(
            "hyhal",
            "/opt/hyhal, the driver's libraries, is not in this container",
            "Mount it from the host: docker run -v /opt/hyhal:/opt/hyhal:ro …",
        )
    else:
        yield fail("hyhal", "/opt/hyhal, the driver's libraries, is missing", "Install Hygon's driver.")


def library_path(facts: Facts) -> Iterator[Verdict]:
    """Judge whether Hygon's runtime library will be found. Where torch imports, it was."""
    access = facts.access
    if "hygon" not in access.vendors:
        return
    torch = facts.imports.torch
    if torch is not None and torch.hip:
        yield ok("library-path", f"torch has loaded {GALAXY}")
    elif access.galaxy_found:
        yield ok("library-path", f"{GALAXY} in {access.galaxy[0]}")
    elif access.galaxy:
        yield fail(
            "library-path",
            f"{GALAXY} is in {access.galaxy[0]}, where programs do not look",
            "source /opt/dtk/env.sh, in the shell that starts bcli",
        )
    else:
        yield fail("library-path", f"{GALAXY} is not on this machine", "Use the vendor's image, or install DTK.")


def visible_devices(facts: Facts) -> Iterator[Verdict]:
    """Judge the variables that choose cards, where they contradict each other or hide everything."""
    access, devices = facts.access, facts.detection.machine.devices
    if not access.vendors:
        return
    values = access.variables
    hip, cuda = values.get("HIP_VISIBLE_DEVICES"), values.get("CUDA_VISIBLE_DEVICES")
    on_hip = "nvidia" not in access.vendors
    shown = ", ".join(f"{name}={value}" for name, value in values.items() if name.endswith("VISIBLE_DEVICES"))
    if on_hip and hip is not None and cuda is not None and hip != cuda:
        yield fail(
            "visible-devices",
            f"HIP_VISIBLE_DEVICES={hip} and CUDA_VISIBLE_DEVICES={cuda} contradict each other",
            "unset CUDA_VISIBLE_DEVICES; HIP_VISIBLE_DEVICES is enough",
        )
    elif shown and not devices and "hides every card" in facts.detection.reason:
        yield fail(
            "visible-devices",
            f"{shown} hides every card",
            "Name the cards by number: HIP_VISIBLE_DEVICES=0"
            if on_hip
            else "Name the cards by number: CUDA_VISIBLE_DEVICES=0",
        )
    elif facts.choice.profile == "z100l" and "hygon" in access.vendors and hip is None:
        yield warn(
            "visible-devices",
            "HIP_VISIBLE_DEVICES is not set, and the vendor says that this card needs it",
            "export HIP_VISIBLE_DEVICES=0",
        )
    elif "HSA_OVERRIDE_GFX_VERSION" in values and "hygon" in access.vendors:
        yield warn(
            "visible-devices",
            f"HSA_OVERRIDE_GFX_VERSION={values['HSA_OVERRIDE_GFX_VERSION']} hides what card this is",
            "unset HSA_OVERRIDE_GFX_VERSION",
        )
    else:
        yield ok("visible-devices", shown or "all cards")


def _join(group: str, number: int | None, *, in_container: bool) -> str:
    if in_container:
        # Inside, the host's group may have another name or none: the number counts.
        return f"docker run --group-add {number if number is not None else group} …"
    return (
        f"sudo usermod -aG video,{group or 'render'} $USER, then log in again"
        if group != "video"
        else ("sudo usermod -aG video $USER, then log in again")
    )
