"""Operating system, processor, memory, and the limits of a container."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.doctor.checks.builds import wanted_vendor
from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict, fail, ok, warn
from baichuan_cli.sizes import GIB, gibibytes

#: vLLM's processes of one server hand requests on through buffers of some hundred MiB in shared memory, and the
#: cards' communication library has its own beside them. Docker gives 64 MiB by itself.
_SHARED_MEMORY = GIB
_LOCKED_MEMORY = GIB  # the reference README sets no limit; a smaller one than this is a default, not a choice
_LITTLE_MEMORY = 4 * GIB  # vLLM's own process and the bundled demo


def platform(facts: Facts) -> Iterator[Verdict]:
    """Judge the operating system and Python."""
    host = facts.host
    words = [f"{host.operating_system} {host.kernel}", host.processor, host.distribution]
    words += [f"in a container ({host.container})"] if host.container else []
    if host.operating_system != "Linux":
        yield fail(
            "platform",
            f"vLLM runs on Linux; this is {host.operating_system}",
            "Use Linux; on Windows, WSL 2.",
        )
    else:
        yield ok("platform", " · ".join(filter(None, words)))
    yield ok("python", f"{host.python} in {host.prefix}")


def cpu(facts: Facts) -> Iterator[Verdict]:
    """Judge the processor; its vector units matter where it computes the model."""
    machine, flags = facts.detection.machine, facts.detection.machine.cpu_flags
    cores = f"{machine.cpu_cores} core{'s' if machine.cpu_cores > 1 else ''}"
    if machine.cpu_cores < machine.visible_cores:
        cores += f" of {machine.visible_cores} (the container's quota)"
    if facts.choice.kind != "cpu" or not facts.host.processor.startswith("x86"):
        yield ok("cpu", cores)
    elif "avx2" not in flags:
        yield fail("cpu", f"{cores} without AVX2, and vLLM's CPU kernels need it", "Use another machine or a card.")
    elif "avx512f" not in flags:
        yield warn("cpu", f"{cores} without AVX-512: slower, and GPTQ and AWQ checkpoints are refused")
    else:
        units = [name for flag, name in (("avx512_bf16", "bfloat16"), ("amx_bf16", "AMX")) if flag in flags]
        yield ok("cpu", f"{cores} with {', '.join(['AVX-512', *units])}")


def memory(facts: Facts) -> Iterator[Verdict]:
    """Judge the memory that programs may use here."""
    allowed, free = facts.detection.machine.host_memory_bytes, facts.host.available_memory
    says = f"{gibibytes(allowed)} may be used"
    if (physical := facts.host.physical_memory) and allowed < physical:
        says += f", by the container's limit; the machine has {gibibytes(physical)}"
    if free is not None and free < allowed:
        says += f"; {gibibytes(free)} of it is free"
    if min(allowed, free if free is not None else allowed) < _LITTLE_MEMORY:
        yield warn(
            "memory", f"{says}; little for vLLM itself", "Close other programs, or raise the container's limit."
        )
    else:
        yield ok("memory", says)


def shared_memory(facts: Facts) -> Iterator[Verdict]:
    """Judge /dev/shm, through which the processes of one server talk."""
    space, several = facts.host.shared_memory, len(facts.detection.machine.devices) > 1
    larger = (
        "In a container: docker run --ipc=host, or --shm-size=16g" if facts.host.container else "Mount a larger one."
    )
    if space is None:
        yield warn("shared-memory", "there is no /dev/shm", larger)
    elif several and space.total < _SHARED_MEMORY:
        yield warn(
            "shared-memory",
            f"/dev/shm is {gibibytes(space.total)}: too small to split a model over several cards",
            larger,
        )
    else:
        yield ok("shared-memory", f"{gibibytes(space.total)} in /dev/shm")


def locked_memory(facts: Facts) -> Iterator[Verdict]:
    """Judge how much memory may be locked, where a card's driver locks some."""
    limit = facts.host.locked_memory
    if wanted_vendor(facts) not in ("hygon", "amd"):
        return
    if limit is not None and limit < _LOCKED_MEMORY:
        fix = "docker run --ulimit memlock=-1:-1" if facts.host.container else "ulimit -l unlimited, before bcli"
        yield warn("locked-memory", f"only {limit // 1024:,} KiB may be locked; the vendors set no limit", fix)
    else:
        yield ok("locked-memory", "no limit" if limit is None else f"{gibibytes(limit)} may be locked")


def numa_balancing(facts: Facts) -> Iterator[Verdict]:
    """Warn of the kernel's page moving, which AMD's documents turn off."""
    if wanted_vendor(facts) == "amd" and facts.host.numa_balancing:
        yield warn(
            "numa-balancing",
            "the kernel moves memory between NUMA nodes by itself, which makes the cards wait",
            "On the host: sudo sysctl kernel.numa_balancing=0",
        )
