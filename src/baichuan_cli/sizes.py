"""Sizes in the units that people know them in: decimal on a disk and for a download, binary in memory."""

from __future__ import annotations

MIB = 1024**2
GIB = 1024**3


def gigabytes(size: int) -> str:
    """Return a size on a disk, in the decimal units that download pages use."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def gibibytes(size: int) -> str:
    """Return a size in memory, in the binary units that cards are sold in."""
    return f"{size / GIB:.1f} GiB" if size >= GIB // 10 else f"{size / MIB:.1f} MiB"
