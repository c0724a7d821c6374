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


def look_at_host(system: System, devices: tuple[Device, ...] = ()) -> Machine:
    """Return the machine with these cards in it."""
    return Machine(
        devices=devices,
        host_memory_bytes=min([_physical_memory(system), *_memory_limits(system)]),
        cpu_cores=max(1, min([system.allowed_cores(), *_core_quotas(system)])),
        cpu_flags=_cpu_flags(system),
        numa_nodes=max(1, len(system.glob("/sys/devices/system/node/node[0-9]*"))),
    )


def _physical_memory(system: System) -> int:
    for line in (system.read("/proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _memory_limits(system: System) -> list[int]:
    # v1 writes "no limit" as a number near 2**63; it never is the smallest.
    files = [
        *_files(system, "", "memory.max"),
        *_files(system, "memory", "memory.limit_in_bytes"),
    ]
    return [int(text) for text in files if text.isdecimal()]


def _core_quotas(system: System) -> list[int]:
    quotas = [text.split() for text in _files(system, "", "cpu.max")]
    quotas += [
        [quota, period]
        for quota, period in zip(
            _files(system, "cpu", "cpu.cfs_quota_us"), _files(system, "cpu", "cpu.cfs_period_us"), strict=False
        )
    ]
    return [
        max(1, int(quota) // int(period))
        for quota, period in (each for each in quotas if len(each) == 2)
        if quota.isdecimal() and period.isdecimal() and int(period) > 0
    ]


def _files(system: System, controller: str, name: str) -> list[str]:
    """Return the texts of a control file in this process's group and all groups above; v2 has no controller."""
    group = _group(system, controller)
    mount = PurePosixPath(_CGROUPS, *_mounted_as(system, controller))
    folders = [mount / group, *(mount / parent for parent in PurePosixPath(group).parents)]
    texts = (system.read(str(folder / name)) for folder in folders)
    return [text for text in texts if text is not None]


def _group(system: System, controller: str) -> str:
    # Lines are "id:controllers:path"; inside a container the path may be the host's, and then only the mount's own
    # folder exists.
    for line in (system.read("/proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.lstrip("/")
    return ""


def _mounted_as(system: System, controller: str) -> tuple[str, ...]:
    if controller == "cpu" and not system.path(f"{_CGROUPS}/cpu").exists():
        return ("cpu,cpuacct",)
    return (controller,) if controller else ()


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
