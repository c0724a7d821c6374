"""What the hardware can do at most: from the profile, or measured here where the profile does not know."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli.bench.record import Ceiling
from baichuan_cli.hardware.system import run_command

if TYPE_CHECKING:
    from baichuan_cli.hardware.profile import Profile

_CHILD = Path(__file__).with_name("ceiling_child.py")


def find_ceiling(profile: Profile, dtype: str) -> Ceiling:
    """Return the ceiling of one card; measuring takes some seconds.

    Args:
        dtype: that of the computation, for a peak that is measured.
    """
    bandwidth, peak = profile.hardware.memory_bandwidth_gb_s, profile.hardware.peak_tflops
    measured = {} if bandwidth and peak else _measure(dtype)
    source = f"profile {profile.name}"
    return Ceiling(
        bandwidth_gb_s=bandwidth or measured.get("bandwidth_gb_s"),
        bandwidth_from=source if bandwidth else "measured here: the faster of reading and copying",
        peak_tflops=peak or measured.get("peak_tflops"),
        peak_from=source if peak else f"measured here: {dtype} matrix products",
    )


def _measure(dtype: str) -> dict[str, Any]:
    """Return what the child found; nothing where torch cannot do it."""
    done = run_command([sys.executable, str(_CHILD), dtype])
    lines = done.stdout.strip().splitlines()
    return dict(json.loads(lines[-1])) if lines and not done.problem else {}
