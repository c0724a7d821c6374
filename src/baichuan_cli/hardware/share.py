"""A machine that several servers share."""

from __future__ import annotations

from dataclasses import replace

from baichuan_cli.hardware.machine import Machine


def share(machine: Machine, part: int, parts: int) -> Machine:
    """Return what one of several equal users has of the host: its memory and its cores. The cards stay as they are.

    Cores are shared out in runs of neighbours, which are near each other in most numberings.
    """
    each = len(machine.core_ids) // parts
    return replace(
        machine,
        host_memory_bytes=machine.host_memory_bytes // parts,
        cpu_cores=max(1, machine.cpu_cores // parts),
        core_ids=machine.core_ids[part * each : (part + 1) * each],
    )
