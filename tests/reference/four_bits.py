"""Whether 4-bit kernels run here: vLLM builds the CPU's for AVX-512 alone, and had none in its first releases."""

from __future__ import annotations

from pathlib import Path

import pytest

from baichuan_cli.engine.installed import installed_release

_release = installed_release()
KERNELS_HERE = (
    "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    and _release is not None
    and _release.matches(">=0.9")
)
needs_kernels = pytest.mark.skipif(
    not KERNELS_HERE, reason="no 4-bit kernels here: they need AVX-512, and vLLM 0.9 or later"
)
