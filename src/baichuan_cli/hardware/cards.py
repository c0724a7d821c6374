"""Which cards there are: PCI ids, architectures, and the profile that each one takes.

Hygon's ids are from hcu-dcgm's table, the architectures from Paddle's cmake/hip.cmake and triton-das.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Vendor = Literal["hygon", "nvidia", "amd"]

PCI_VENDORS: Mapping[int, Vendor] = {0x1D94: "hygon", 0x10DE: "nvidia", 0x1002: "amd"}
#: Display controllers, processing accelerators and co-processors. Hygon's and AMD's processors carry the vendor's id
#: on their host bridges too, and those are no cards; a Hygon card that is known by its id may have any class.
PCI_CARD_CLASSES = (0x03, 0x12, 0x0B)

VENDOR_NAMES: Mapping[Vendor, str] = {"hygon": "Hygon", "nvidia": "NVIDIA", "amd": "AMD"}

#: PCI device id -> name and architecture.
_HYGON: Mapping[int, tuple[str, str]] = {
    **dict.fromkeys((0x51B7, 0x52B7, 0x53B7, 0x55B7, 0x56B7, 0x57B7), ("Z100L", "gfx906")),
    0x54B7: ("Z100", "gfx906"),
    **dict.fromkeys((0x61B7, 0x62B7, 0x63B7, 0x64B7, 0x65B7, 0x66B7, 0x67B7), ("K100", "gfx926")),
    0x62C7: ("K100-LC", "gfx926"),
    0x6210: ("K100_AI", "gfx928"),
    0x6211: ("K100_AI LC_E", "gfx928"),
    0x6212: ("K100_AI LC", "gfx928"),
    0x6213: ("K100_AI i", "gfx928"),
    0x62A0: ("K500SM_AI", "gfx928"),
    0x62B0: ("K500SM_AI", "gfx928"),
    0x631A: ("BW1000_H", "gfx936"),
    0x6310: ("BW200", "gfx936"),
    0x6320: ("BW150", "gfx936"),
    0x6370: ("BW100", "gfx936"),
    0x6360: ("BW10", "gfx936"),
    0x6431: ("BW1000_LC", "gfx936"),
    0x6430: ("BW1100", "gfx938"),
}
_HYGON_BY_NAME: Mapping[str, str] = {"Z100": "gfx906", "Z100L": "gfx906", "K100": "gfx926", "K100_AI": "gfx928"}
_HYGON_PROFILES: Mapping[str, str] = {
    "gfx906": "z100l",
    "gfx926": "k100",
    "gfx928": "k100-ai",
    "gfx936": "bw1000",
    "gfx938": "bw1000",  # BW1100 has no profile of its own; this is the nearest
}


def hygon_card(device_id: int) -> tuple[str, str]:
    """Return name and architecture of a PCI device id; an unknown one is named by its id, with no architecture."""
    return _HYGON.get(device_id, (f"{device_id:#06x}", ""))


def hygon_architecture(name: str) -> str:
    """Return the architecture of a card by the name that the driver gives it; empty when unknown."""
    name = name.upper()
    if name.startswith("BW"):
        return "gfx938" if name.startswith("BW1100") else "gfx936"
    return _HYGON_BY_NAME.get(name, "")


def profile_of(vendor: Vendor, architecture: str) -> str:
    """Return the profile for a card; empty when there is none.

    gfx906 is Hygon's Z100L as well as AMD's MI50: only the vendor tells them apart.
    """
    match vendor:
        case "nvidia":
            return "cuda"
        case "amd":
            return "rocm"
        case "hygon":
            return _HYGON_PROFILES.get(architecture, "")
