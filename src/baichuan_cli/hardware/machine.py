"""What this machine has, as far as it could be seen."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator card."""

    name: str  # as the driver calls it: "K100_AI", "NVIDIA H100 80GB HBM3"
    architecture: str  # "gfx928", or "sm_90" for CUDA's compute capability 9.0; empty when unknown
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """The cards, and the host they sit in."""

    devices: tuple[Device, ...]
    host_memory_bytes: int  # what this process may use: RAM, or the cgroup's limit where that is lower
    cpu_cores: int  # cores this process may run on
    cpu_flags: frozenset[str]  # as in /proc/cpuinfo: "avx512f", "avx512_bf16", "amx_bf16"
    numa_nodes: int = 1
    visible_cores: int = 0  # cores that programs see and make threads for, more than `cpu_cores` under a quota
    speed_libraries: tuple[str, ...] = ()  # files that make vLLM faster on the CPU when they are preloaded
    python: tuple[int, int] = sys.version_info[:2]
