"""The cards, their driver, and the toolkit that belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.version import Version

from baichuan_cli.doctor.checks.builds import profile_vendor, vllm_build, wanted_vendor
from baichuan_cli.doctor.checks.devices import device_files, visible_devices
from baichuan_cli.doctor.checks.packages import torch
from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict, fail, ok, skip, warn
from baichuan_cli.hardware.cards import VENDOR_NAMES

#: Oldest driver of Hygon's for each DTK (hcu-dcgm, compatibility.go).
_DTK_DRIVERS = (("24.04", "6.2.26"), ("25.04", "6.2.26"), ("26.04", "6.3.30"))
_BW_DRIVERS = (("25.04", "6.3.8"), ("26.04", "6.3.30"))
#: Oldest driver of NVIDIA's for each major version of CUDA (CUDA Compatibility, minor version compatibility).
_CUDA_DRIVERS = (("13", "580"), ("12", "525.60.13"), ("11", "450.80.02"))


def cards(facts: Facts) -> Iterator[Verdict]:
    """Say which cards there are, and whether one of them will compute."""
    detection, seen = facts.detection, facts.access.seen
    vendor = profile_vendor(facts)
    if vendor is not None and vendor not in facts.access.vendors:
        yield fail(
            "cards",
            f"the profile {facts.choice.profile} is about cards of {VENDOR_NAMES[vendor]}, and there is none here",
            f"Take {detection.profile_name}, which was detected: unset BCLI_PROFILE, or change config.yaml",
        )
    elif detection.profile_name != "cpu":
        if detection.machine.devices:
            yield ok("cards", detection.reason)
        else:
            yield warn(
                "cards",
                detection.reason,
                "The vendor's tool should name it: hy-smi, rocminfo or nvidia-smi. Is the driver loaded?",
            )
    elif not facts.access.vendors:
        yield ok("cards", "none; the processor computes")
    elif wanted_vendor(facts) is not None:
        obstacles = (verdict for check in (device_files, visible_devices, torch) for verdict in check(facts))
        if any(verdict.status == "failure" for verdict in obstacles):
            yield skip("cards", f"{seen}; out of reach until that is mended")
        else:
            yield fail(
                "cards",
                f"{seen}: there, but of no use ({detection.reason})",
                "Name the profile of a card like it: export BCLI_PROFILE=bw1000",
            )
    elif facts.access.vendors == {"amd"}:  # most often the display's
        yield ok("cards", f"{seen}; the processor computes, for vLLM was built for it")
    elif vllm_build(facts) == "cpu":
        yield warn(
            "cards",
            f"{seen}: there, but this vLLM was built for the processor",
            "NVIDIA: pip install '.[cuda]' in a new environment. Hygon: use the vendor's image.",
        )
    else:
        yield warn("cards", f"{seen}: there, but not used ({detection.reason})")


def driver(facts: Facts) -> Iterator[Verdict]:
    """Judge the kernel's driver, and whether what lies above it is too new for it. AMD's is part of the kernel."""
    imported, vendor = facts.imports.torch, wanted_vendor(facts)
    if not facts.access.driver and imported is not None and imported.available:
        return  # a sandbox hides the version, and the driver works
    if vendor == "hygon":
        yield _hygon_driver(facts)
    elif vendor == "nvidia":
        yield _nvidia_driver(facts)


def toolkit(facts: Facts) -> Iterator[Verdict]:
    """Judge DTK on a Hygon card, and whether vLLM was built for this one."""
    if wanted_vendor(facts) != "hygon":
        return
    found = facts.access.toolkits.get("/opt/dtk")
    if found is None:
        yield fail(
            "toolkit",
            "no DTK in /opt/dtk, and a Hygon card computes with nothing else",
            "Use the vendor's image, or install DTK and then: source /opt/dtk/env.sh",
        )
        return
    built_for = _built_for_dtk(facts)
    if built_for and found and not found.startswith(built_for):
        yield warn(
            "toolkit",
            f"DTK {found}, but vLLM {facts.release} was built for DTK {built_for}",
            f"Use the image with DTK {built_for}, or the vLLM that belongs to DTK {found}.",
        )
    else:
        yield ok("toolkit", f"DTK {found or 'of unknown version'} in /opt/dtk")


def _hygon_driver(facts: Facts) -> Verdict:
    version = facts.access.driver
    if not version:
        return fail(
            "driver",
            "the kernel modules hycu and hydcu are not loaded",
            "On the host: install Hygon's driver, then sudo modprobe hycu",
        )
    dtk = facts.access.toolkits.get("/opt/dtk", "")
    table = _BW_DRIVERS if facts.choice.profile == "bw1000" else _DTK_DRIVERS
    needed = next((oldest for release, oldest in table if dtk.startswith(release)), "")
    if needed and _number(version) < _number(needed):
        return warn("driver", f"{version} is too old for DTK {dtk}, which needs {needed}", "Update it on the host.")
    return ok("driver", version)


def _nvidia_driver(facts: Facts) -> Verdict:
    version, imported = facts.access.driver, facts.imports.torch
    if not version:
        return warn("driver", "NVIDIA's driver does not say its version", "Does nvidia-smi answer?")
    cuda = imported.cuda if imported else None
    needed = next((oldest for major, oldest in _CUDA_DRIVERS if cuda and cuda.split(".")[0] == major), "")
    if needed and _number(version) < _number(needed):
        return fail(
            "driver",
            f"{version} is too old for torch, which was built for CUDA {cuda} and needs {needed}",
            "Update the driver on the host, or take a vLLM that was built for an older CUDA.",
        )
    return ok("driver", version + (f", torch for CUDA {cuda}" if cuda else ""))


def _built_for_dtk(facts: Facts) -> str:
    """Return the DTK that the vendor's suffix names: 24.04 for `das.opt4.dtk24043`."""
    found = re.search(r"dtk(\d\d)(\d\d)", facts.release.vendor if facts.release else "")
    return f"{found[1]}.{found[2]}" if found else ""


def _number(text: str) -> Version:
    found = re.match(r"\d+(?:\.\d+)*", text)
    return Version(found[0] if found else "0")
