"""The cards, their driver, and the toolkit that belongs to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.version import Version

from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict, fail, ok, warn
from baichuan_cli.hardware.cards import VENDOR_NAMES

#: Oldest driver of Hygon's for each DTK, on every card that the DTK knows (hcu-dcgm, compatibility.go).
_DTK_DRIVERS = (("24.04", "6.2.26"), ("25.04", "6.2.26"), ("26.04", "6.3.30"))
_BW_DRIVERS = (("25.04", "6.3.8"), ("26.04", "6.3.30"))
#: Oldest driver of NVIDIA's for each major version of CUDA (CUDA Compatibility, minor version compatibility).
_CUDA_DRIVERS = (("13", "580"), ("12", "525.60.13"), ("11", "450.80.02"))


def cards(facts: Facts) -> Iterator[Verdict]:
    """Say which cards there are, and whether one of them will compute."""
    devices, seen = facts.detection.machine.devices, facts.access.vendors
    if devices:
        yield ok("cards", facts.detection.reason)
    elif not seen:
        yield ok("cards", "none; the processor computes")
    elif facts.detection.profile_name == "cpu":
        yield warn("cards", f"{facts.access.seen}: there, but not used: {facts.detection.reason}")
    else:
        yield warn(
            "cards",
            facts.detection.reason,
            "The vendor's tool should name it: hy-smi, rocminfo or nvidia-smi. Is the driver loaded?",
        )


def driver(facts: Facts) -> Iterator[Verdict]:
    """Judge the kernel's driver, and whether the toolkit above it is too new for it."""
    version, vendors = facts.access.driver, facts.access.vendors
    if "hygon" in vendors:
        yield _hygon_driver(facts, version)
    elif "nvidia" in vendors:
        yield _nvidia_driver(facts, version)


def toolkit(facts: Facts) -> Iterator[Verdict]:
    """Judge DTK on a Hygon card, and whether vLLM was built for this one."""
    if "hygon" not in facts.access.vendors:
        return
    found = facts.access.toolkits.get("/opt/dtk")
    if found is None:
        yield fail(
            "toolkit",
            "no DTK in /opt/dtk, and a Hygon card computes with nothing else",
            "Use the vendor's image, or install DTK: bcli profiles show " + (facts.choice.profile or "k100"),
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


def _hygon_driver(facts: Facts, version: str) -> Verdict:
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
    return ok("driver", f"hycu {version}")


def _nvidia_driver(facts: Facts, version: str) -> Verdict:
    torch = facts.imports.torch
    if not version:
        return warn("driver", "NVIDIA's driver does not say its version", "Does nvidia-smi answer?")
    cuda = torch.cuda if torch else None
    needed = next((oldest for major, oldest in _CUDA_DRIVERS if cuda and cuda.split(".")[0] == major), "")
    if needed and _number(version) < _number(needed):
        return fail(
            "driver",
            f"{version} is too old for torch, which was built for CUDA {cuda} and needs {needed}",
            "Update the driver on the host, or take a vLLM that was built for an older CUDA.",
        )
    return ok("driver", f"{VENDOR_NAMES['nvidia']} {version}" + (f", torch for CUDA {cuda}" if cuda else ""))


def _built_for_dtk(facts: Facts) -> str:
    """Return the DTK that the vendor's suffix names: 24.04 for `das.opt4.dtk24043`."""
    found = re.search(r"dtk(\d\d)(\d\d)", facts.release.vendor if facts.release else "")
    return f"{found[1]}.{found[2]}" if found else ""


def _number(text: str) -> Version:
    found = re.match(r"\d+(?:\.\d+)*", text)
    return Version(found[0] if found else "0")
