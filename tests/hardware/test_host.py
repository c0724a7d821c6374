"""Memory, cores and flags of the host, with the limits of a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from baichuan_cli.hardware.host import look_at_host

if TYPE_CHECKING:
    from fakes.recorded_machine import RecordedMachine

GIB = 2**30
CPUINFO = """processor\t: 0
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu avx512f avx512_bf16 amx_bf16

processor\t: 1
flags\t\t: fpu
"""


def test_a_bare_host(machine: RecordedMachine) -> None:
    machine.files(
        {
            "/proc/cpuinfo": CPUINFO,
            "/sys/devices/system/node/node0/cpulist": "0-31",
            "/sys/devices/system/node/node1/cpulist": "32-63",
        }
    )

    host = look_at_host(machine.system)

    assert host.host_memory_bytes == 527976448 * 1024
    assert host.cpu_cores == 64
    assert host.numa_nodes == 2
    assert host.cpu_flags == {"fpu", "avx512f", "avx512_bf16", "amx_bf16"}
    assert host.devices == ()


def test_cgroup_v2_limits(machine: RecordedMachine) -> None:
    machine.files(
        {
            "/proc/self/cgroup": "0::/system.slice/job\n",
            "/sys/fs/cgroup/system.slice/job/memory.max": "max\n",
            "/sys/fs/cgroup/system.slice/job/cpu.max": "350000 100000\n",
            "/sys/fs/cgroup/system.slice/memory.max": f"{16 * GIB}\n",
            "/sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
        }
    )

    host = look_at_host(machine.system)

    assert (host.host_memory_bytes, host.cpu_cores, host.visible_cores) == (16 * GIB, 3, 64)


def test_cgroup_v2_inside_a_container_shows_only_its_own_folder(machine: RecordedMachine) -> None:
    machine.files({"/sys/fs/cgroup/memory.max": f"{8 * GIB}\n", "/sys/fs/cgroup/cpu.max": "50000 100000\n"})

    host = look_at_host(machine.system)

    assert (host.host_memory_bytes, host.cpu_cores) == (8 * GIB, 1)


@pytest.mark.parametrize("controller", ["cpu", "cpu,cpuacct"])
def test_cgroup_v1_limits(machine: RecordedMachine, controller: str) -> None:
    machine.files(
        {
            "/proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": f"{4 * GIB}\n",
            f"/sys/fs/cgroup/{controller}/cpu.cfs_quota_us": "-1\n",
            f"/sys/fs/cgroup/{controller}/cpu.cfs_period_us": "100000\n",
            f"/sys/fs/cgroup/{controller}/docker/abc/cpu.cfs_quota_us": "200000\n",
            f"/sys/fs/cgroup/{controller}/docker/abc/cpu.cfs_period_us": "100000\n",
        }
    )

    host = look_at_host(machine.system)

    assert (host.host_memory_bytes, host.cpu_cores) == (4 * GIB, 2)


@pytest.mark.parametrize("text", ["", "garbage", "a:b", "0::", "::\n:::::\n"])
def test_damaged_files_set_no_limit(machine: RecordedMachine, text: str) -> None:
    machine.files(
        {
            "/proc/self/cgroup": text,
            "/sys/fs/cgroup/memory.max": text,
            "/sys/fs/cgroup/cpu.max": text,
            "/proc/cpuinfo": text,
        }
    )

    host = look_at_host(machine.system)

    assert (host.host_memory_bytes, host.cpu_cores, host.numa_nodes) == (527976448 * 1024, 64, 1)


def test_without_proc_the_kernel_is_asked(machine: RecordedMachine) -> None:
    (machine.root / "proc/meminfo").unlink()

    assert look_at_host(machine.system).host_memory_bytes > 0


def test_libraries_that_make_vllm_faster_are_found(machine: RecordedMachine) -> None:
    tcmalloc, openmp = "/usr/lib64/libtcmalloc_minimal.so.4", "/venv/lib/libiomp5.so"
    assert look_at_host(machine.system).speed_libraries == ()
    machine.files({openmp: ""})
    assert look_at_host(machine.system).speed_libraries == (openmp,)
    machine.files({tcmalloc: "", "/usr/lib64/libtcmalloc.so.4": ""})
    assert look_at_host(machine.system).speed_libraries == (tcmalloc, openmp)
