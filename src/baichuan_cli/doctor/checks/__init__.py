"""The checks, in the order in which a person reads them. Each looks at facts and yields verdicts, and does nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from baichuan_cli.doctor.checks.cards import cards, driver, toolkit
from baichuan_cli.doctor.checks.devices import device_files, hyhal, library_path, visible_devices
from baichuan_cli.doctor.checks.host import cpu, locked_memory, memory, numa_balancing, platform, shared_memory
from baichuan_cli.doctor.checks.hub import sources
from baichuan_cli.doctor.checks.packages import extensions, server, torch, transformers, triton, vllm
from baichuan_cli.doctor.checks.plugins import baichuan, plugins
from baichuan_cli.doctor.checks.profile import profile
from baichuan_cli.doctor.checks.store import disk, store
from baichuan_cli.doctor.checks.versions import copies, ranges
from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict

Check = Callable[[Facts], Iterator[Verdict]]

CHECKS: tuple[Check, ...] = (
    platform,
    cpu,
    memory,
    shared_memory,
    locked_memory,
    numa_balancing,
    cards,
    driver,
    toolkit,
    device_files,
    hyhal,
    library_path,
    visible_devices,
    torch,
    vllm,
    transformers,
    triton,
    extensions,
    server,
    ranges,
    copies,
    plugins,
    baichuan,
    sources,
    store,
    disk,
    profile,
)


def examine(facts: Facts) -> tuple[Verdict, ...]:
    """Return what all checks say."""
    return tuple(verdict for check in CHECKS for verdict in check(facts))
