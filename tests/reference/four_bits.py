"""Whether this processor runs vLLM's 4-bit kernels, which vLLM builds for AVX-512 alone."""

from __future__ import annotations

from pathlib import Path

import pytest

KERNELS_HERE = "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
needs_kernels = pytest.mark.skipif(not KERNELS_HERE, reason="this processor has no AVX-512, which 4-bit kernels need")
