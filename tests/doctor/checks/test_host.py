"""Hosts that are short of something."""

from __future__ import annotations

from pathlib import Path

import pytest

from baichuan_cli.doctor.surroundings import Space
from baichuan_cli.doctor.verdict import Verdict
from doctor import patients
from doctor.patients import GIB


def test_another_operating_system(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.operating_system = "Darwin"

    assert patient.verdicts()["platform"] == Verdict(
        "platform", "failure", "vLLM runs on Linux; this is Darwin", "Use Linux; on Windows, WSL 2."
    )


@pytest.mark.parametrize(
    ("variables", "files", "container"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, (), "kubernetes"),
        ({}, ("/.dockerenv",), "docker"),
        ({}, ("/run/.containerenv",), "podman"),
        ({}, (), ""),
    ],
)
def test_a_container_is_known(
    tmp_path: Path, variables: dict[str, str], files: tuple[str, ...], container: str
) -> None:
    patient = patients.cpu(tmp_path)
    patient.machine.environment.update(variables)
    patient.machine.files(dict.fromkeys(files, ""))

    assert patient.facts().host.container == container


def test_a_processor_without_avx512(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.machine.files({"/proc/cpuinfo": "flags : fpu avx2 fma\n"})

    assert patient.verdicts()["cpu"] == Verdict(
        "cpu", "warning", "64 cores without AVX-512: slower, and GPTQ and AWQ checkpoints are refused"
    )


def test_a_processor_without_avx512_for_the_first_release(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.vllm = "0.5.0+cpu"
    patient.machine.files({"/proc/cpuinfo": "flags : fpu avx2 fma\n"})

    verdict = patient.verdicts()["plan"]

    assert verdict.status == "failure"
    assert verdict.says.startswith("vLLM 0.5.0+cpu on the CPU needs AVX-512")


def test_an_old_processor(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.machine.files({"/proc/cpuinfo": "flags : fpu sse4_2\n"})

    assert patient.verdicts()["cpu"].status == "failure"


def test_the_flags_do_not_matter_beside_a_card(tmp_path: Path) -> None:
    patient = patients.h100(tmp_path)
    patient.machine.files({"/proc/cpuinfo": "flags : fpu avx2\n"})

    assert patient.verdicts()["cpu"] == Verdict("cpu", "ok", "64 cores")


def test_the_quota_of_a_container(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.machine.files({"/sys/fs/cgroup/cpu.max": "400000 100000\n", "/sys/fs/cgroup/memory.max": f"{3 * GIB}\n"})

    verdicts = patient.verdicts()

    assert verdicts["cpu"].says == "4 cores of 64 (the container's quota) with AVX-512, bfloat16, AMX"
    assert verdicts["memory"] == Verdict(
        "memory",
        "warning",
        "3.0 GiB may be used, by the container's limit; the machine has 128.0 GiB; little for vLLM itself",
        "Close other programs, or raise the container's limit.",
    )


def test_memory_that_others_have_taken(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.machine.files({"/proc/meminfo": "MemTotal:       33554432 kB\nMemAvailable:   2097152 kB\n"})

    assert patient.verdicts()["memory"] == Verdict(
        "memory",
        "warning",
        "32.0 GiB may be used; 2.0 GiB of it is free; little for vLLM itself",
        "Close other programs, or raise the container's limit.",
    )


def test_dockers_shared_memory(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.spaces["/dev/shm"] = Space(64 * 2**20, 64 * 2**20)

    assert patient.verdicts()["shared-memory"] == Verdict(
        "shared-memory",
        "warning",
        "/dev/shm is 64.0 MiB: too small to split a model over several cards",
        "In a container: docker run --ipc=host, or --shm-size=16g",
    )


def test_dockers_shared_memory_is_enough_for_one_card(tmp_path: Path) -> None:
    patient = patients.h100(tmp_path)
    patient.spaces["/dev/shm"] = Space(64 * 2**20, 64 * 2**20)

    assert patient.verdicts()["shared-memory"].status == "ok"


def test_no_shared_memory(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    del patient.spaces["/dev/shm"]

    assert patient.verdicts()["shared-memory"].status == "warning"


@pytest.mark.parametrize(
    ("in_container", "fix"), [(True, "docker run --ulimit memlock=-1:-1"), (False, "ulimit -l unlimited, before bcli")]
)
def test_little_memory_may_be_locked(tmp_path: Path, in_container: bool, fix: str) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.files({"/proc/self/limits": patients.LIMITS.format(memlock=65536)})
    if not in_container:
        patient.remove("/.dockerenv")

    assert patient.verdicts()["locked-memory"] == Verdict(
        "locked-memory", "warning", "only 64 KiB may be locked; the vendors set no limit", fix
    )


def test_locked_memory_does_not_matter_without_a_card(tmp_path: Path) -> None:
    assert "locked-memory" not in patients.cpu(tmp_path).verdicts()


def test_numa_balancing_beside_amds_cards(tmp_path: Path) -> None:
    patient = patients.mi300x(tmp_path)
    patient.machine.files({"/proc/sys/kernel/numa_balancing": "1\n"})

    assert patient.verdicts()["numa-balancing"] == Verdict(
        "numa-balancing",
        "warning",
        "the kernel moves memory between NUMA nodes by itself, which makes the cards wait",
        "On the host: sudo sysctl kernel.numa_balancing=0",
    )
