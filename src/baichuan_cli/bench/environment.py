"""Everything about the machine and the software that a number depends on, for the record."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli import __version__
from baichuan_cli.engine.installed import DISTRIBUTIONS
from baichuan_cli.hardware.system import System, run_command

if TYPE_CHECKING:
    from baichuan_cli.hardware.machine import Machine

_PACKAGES = (*DISTRIBUTIONS, "torch", "transformers", "triton", "flash-attn", "aiohttp")

#: Variables that change how fast an engine is. Others are left out: they may hold a person's secrets.
_VARIABLES = re.compile(
    r"(CUDA|HIP|ROCR)_VISIBLE_DEVICES|OMP_NUM_THREADS|LD_PRELOAD|PYTORCH_\w+|NCCL_\w+|HSA_\w+"
    r"|VLLM_(?!.*(KEY|TOKEN|SECRET))\w+"
)

_NVIDIA_FIELDS = (
    *("name", "driver_version", "memory.total", "power.limit", "temperature.gpu"),
    *("clocks.sm", "clocks.max.sm", "clocks.mem", "clocks_throttle_reasons.active", "persistence_mode"),
)


def look(machine: Machine | None = None, system: System | None = None) -> dict[str, Any]:
    """Return the environment: bcli, Python and packages, host, accelerators, and variables that change the speed.

    Args:
        machine: what detection saw; None for a client of a server that is somewhere else.
        system: how to ask this machine.
    """
    system = system or System()
    return {
        "bcli": {"version": __version__, "commit": _commit()},
        "python": platform.python_version(),
        "packages": _versions(),
        "host": _host(machine, system),
        "accelerators": _accelerators(machine, system),
        "variables": {name: value for name, value in sorted(os.environ.items()) if _VARIABLES.fullmatch(name)},
    }


def doubts(environment: dict[str, Any]) -> list[str]:
    """Return what in the environment makes numbers doubtful, in words."""
    marks = []
    host = environment["host"]
    load, cores = host.get("load_average"), host.get("cores")
    if load and cores and load > cores * 0.75:
        marks.append(f"the machine was busy before the run: load average {load:.1f} on {cores} cores")
    for number, card in enumerate(environment["accelerators"]):
        reasons = str(card.get("clocks_throttle_reasons.active", ""))
        # Bit 0 is "idle", which a card is before a run.
        if re.fullmatch(r"0x[0-9a-fA-F]+", reasons) and int(reasons, 16) & ~1:
            marks.append(f"card {number} throttles its clocks (reasons {reasons})")
    return marks


def _commit() -> str | None:
    """Return the commit of the source tree that bcli runs from; None for an installed bcli."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    done = run_command(["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"])
    return None if done.problem else done.stdout.strip()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _host(machine: Machine | None, system: System) -> dict[str, Any]:
    processor = re.search(r"^model name\s*:\s*(.+)$", system.read("/proc/cpuinfo") or "", re.MULTILINE)
    load = (system.read("/proc/loadavg") or "").split()
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor[1] if processor else platform.machine(),
        "governor": system.read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_average": float(load[0]) if load else None,
    }
    if machine is not None:
        facts |= {
            "cores": machine.cpu_cores,
            "memory_bytes": machine.host_memory_bytes,
            "numa_nodes": machine.numa_nodes,
            "cpu_flags": sorted(flag for flag in machine.cpu_flags if flag.startswith(("avx512", "amx", "avx2"))),
        }
    return facts


def _accelerators(machine: Machine | None, system: System) -> list[dict[str, Any]]:
    if machine is None or not machine.devices:
        return []
    cards: list[dict[str, Any]] = [
        {"name": card.name, "architecture": card.architecture, "memory_bytes": card.memory_bytes}
        for card in machine.devices
    ]
    if all(card.architecture.startswith("sm_") for card in machine.devices):
        for card, facts in zip(cards, _nvidia(system), strict=False):
            card |= facts
    elif version := _amd_driver(system):
        for card in cards:
            card["driver_version"] = version
    return cards


def _nvidia(system: System) -> list[dict[str, str]]:
    tool = system.tool("nvidia-smi", "/usr/lib/wsl/lib")
    done = system.run([tool, f"--query-gpu={','.join(_NVIDIA_FIELDS)}", "--format=csv,noheader"])
    rows = [line.split(", ") for line in done.stdout.strip().splitlines()]
    return [dict(zip(_NVIDIA_FIELDS, row, strict=True)) for row in rows if len(row) == len(_NVIDIA_FIELDS)]


def _amd_driver(system: System) -> str | None:
    """Return the version of Hygon's or AMD's kernel driver."""
    modules = ("hycu", "hydcu", "amdgpu")
    return next((version for name in modules if (version := system.read(f"/sys/module/{name}/version"))), None)
