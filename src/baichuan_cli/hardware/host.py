"""The host's memory, cores and processor flags, as far as this process may use them.

A container's limits count: `memory.max` and `cpu.max` of cgroup v2, `memory.limit_in_bytes` and the CFS quota of v1,
of this process's own group and of every group above it.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from baichuan_cli.hardware.machine import Device, Machine
from baichuan_cli.hardware.system import System

_CGROUPS = "/sys/fs/cgroup"

#: Where distributions put tcmalloc: Debian and its kin by architecture, others in lib64. The small one is enough.
_ALLOCATORS = tuple(
    f"/usr/{folder}/{name}"
    for name in ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
    for folder in ("lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib")
)


def look_at_host(system: System, devices: tuple[Device, ...] = ()) -> Machine:
    """Return the machine with these cards in it."""
    visible_cores = system.allowed_cores()
    return Machine(
        devices=devices,
        host_memory_bytes=min([_physical_memory(system), *_memory_limits(system)]),
        cpu_cores=max(1, min([visible_cores, *_core_quotas(system)])),
        cpu_flags=_cpu_flags(system),
        numa_nodes=max(1, len(system.glob("/sys/devices/system/node/node[0-9]*"))),
        visible_cores=visible_cores,
        speed_libraries=_speed_libraries(system),
    )


def _speed_libraries(system: System) -> tuple[str, ...]:
    """Return tcmalloc and the OpenMP that torch's CPU builds bring along, as far as they are here."""
    allocator = next((path for path in _ALLOCATORS if system.path(path).exists()), None)
    openmp = f"{system.prefix}/lib/libiomp5.so"
    return tuple(filter(None, (allocator, openmp if system.path(openmp).exists() else None)))


def _physical_memory(system: System) -> int:
    for line in (system.read("/proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _memory_limits(system: System) -> list[int]:
    # "No limit" is the word max in v2 and a number near 2**63 in v1, which never is the smallest.
    v2 = (system.read(f"{folder}/memory.max") for folder in _folders(system, ""))
    v1 = (system.read(f"{folder}/memory.limit_in_bytes") for folder in _folders(system, "memory"))
    return [int(text) for text in (*v2, *v1) if text is not None and text.isdecimal()]


def _core_quotas(system: System) -> list[int]:
    # "No quota" is the word max in v2 and -1 in v1.
    v2 = [(system.read(f"{folder}/cpu.max") or "").split() for folder in _folders(system, "")]
    v1 = [
        [system.read(f"{folder}/cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
        for folder in _folders(system, "cpu")
    ]
    return [
        int(quota[0]) // int(quota[1])
        for quota in (*v2, *v1)
        if len(quota) == 2 and all(text.isdecimal() for text in quota) and int(quota[1]) > 0
    ]


def _folders(system: System, controller: str) -> list[PurePosixPath]:
    """Return the folder of this process's group and of all groups above it; v2 has no controller in its path."""
    mount = PurePosixPath(_CGROUPS, controller)
    if controller == "cpu" and not system.path(str(mount)).exists():
        mount = PurePosixPath(_CGROUPS, "cpu,cpuacct")
    group = PurePosixPath(_group(system, controller))
    return [mount / group, *(mount / parent for parent in group.parents)]


def _group(system: System, controller: str) -> str:
    # Lines are "id:controllers:path". Inside a container the path may be of the host; then only the mount exists.
    for line in (system.read("/proc/self/cgroup") or "").splitlines():
        match line.split(":", 2):
            case [_, controllers, path] if controller in controllers.split(","):
                return path.lstrip("/")
    return ""


def _cpu_flags(system: System) -> frozenset[str]:
    # The file repeats itself for each core and takes long to write on a large host: the first core will do.
    try:
        with system.path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in ("flags", "Features"):
                    return frozenset(value.split())
    except OSError:
        pass
    return frozenset()
