"""What makes a server fast on the CPU, as far as this machine has it."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Export, Outcome

_THREADS = "OMP_NUM_THREADS"
_PRELOAD = "LD_PRELOAD"


def cpu_threads(draft: Draft) -> Iterator[Outcome]:
    """Start no more threads than there are cores: a quota, or another replica, takes some of those that are seen."""
    granted, seen = draft.machine.cpu_cores, draft.machine.visible_cores
    if draft.profile.kind == "cpu" and granted < seen and _THREADS not in draft.exported:
        yield Export(_THREADS, granted, f"{granted} of the {seen} cores of this machine are for this engine")


def cpu_preload(draft: Draft) -> Iterator[Outcome]:
    """Load the libraries that vLLM asks for on the CPU before everything else."""
    libraries = draft.machine.speed_libraries
    if draft.profile.kind == "cpu" and draft.purpose == "server" and libraries and _PRELOAD not in draft.exported:
        yield Export(_PRELOAD, ":".join(libraries), "a faster allocator and OpenMP, found on this machine (measured)")
