"""The host: operating system, container, memory, and the limits that programs get."""

from __future__ import annotations

import re
from dataclasses import dataclass

from baichuan_cli.doctor.surroundings import Space, Surroundings
from baichuan_cli.hardware.system import System


@dataclass(frozen=True, slots=True)
class Host:
    """The host as programs on it find it. Sizes in bytes; None where unknown."""

    operating_system: str  # "Linux"
    kernel: str
    processor: str  # "x86_64"
    distribution: str  # as /etc/os-release calls itself; empty when unknown
    container: str  # "docker", "podman", "kubernetes", or empty
    physical_memory: int | None
    available_memory: int | None  # on the whole machine; a cgroup's limit is not counted
    shared_memory: Space | None  # /dev/shm
    locked_memory: int | None  # may be locked; None: no limit is set, or none is known
    numa_balancing: bool  # the kernel moves pages between NUMA nodes by itself
    python: str
    prefix: str


def look_at_host(surroundings: Surroundings) -> Host:
    """Look at the host."""
    system = surroundings.system
    release = re.search(r'^PRETTY_NAME="?([^"\n]*)"?$', system.read("/etc/os-release") or "", re.MULTILINE)
    return Host(
        operating_system=surroundings.operating_system,
        kernel=surroundings.kernel,
        processor=surroundings.processor,
        distribution=release[1] if release else "",
        container=_container(system),
        physical_memory=_memory(system, "MemTotal"),
        available_memory=_memory(system, "MemAvailable"),
        shared_memory=surroundings.space(system.path("/dev/shm")),
        locked_memory=_locked_memory(system),
        numa_balancing=system.read("/proc/sys/kernel/numa_balancing") == "1",
        python=surroundings.python,
        prefix=system.prefix,
    )


def _container(system: System) -> str:
    if "KUBERNETES_SERVICE_HOST" in system.environment:
        return "kubernetes"
    if system.path("/.dockerenv").exists():
        return "docker"
    if system.path("/run/.containerenv").exists():
        return "podman"
    return ""


def _memory(system: System, name: str) -> int | None:
    found = re.search(rf"^{name}: +(\d+) kB$", system.read("/proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _locked_memory(system: System) -> int | None:
    # "Max locked memory         65536                65536                bytes": the soft limit counts.
    found = re.search(r"^Max locked memory +(\d+)", system.read("/proc/self/limits") or "", re.MULTILINE)
    return int(found[1]) if found else None
