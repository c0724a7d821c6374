"""A machine that several servers share."""

from __future__ import annotations

from dataclasses import replace

from baichuan_cli.hardware.machine import Machine


def share(machine: Machine, parts: int) -> Machine:
    """Return what one of several equal users has of the host: its memory and its cores. The cards stay as they are."""
    return replace(
        machine,
        host_memory_bytes=machine.host_memory_bytes // parts,
        cpu_cores=max(1, machine.cpu_cores // parts),
    )
