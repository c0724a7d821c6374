"""What each of several servers on one machine gets for itself, and how many are too many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from baichuan_cli.hardware.machine import Machine
from baichuan_cli.hardware.share import share
from baichuan_cli.plan.model import Finding, Plan
from baichuan_cli.plan.replicas import for_replica, router_findings
from baichuan_cli.plan.serving import ServeOptions
from baichuan_cli.sizes import GIB
from plan.planning import CPU, cards, plan, shipped_profile


def replica(
    profile: str, machine: Machine, part: int, parts: int, exported: dict[str, str] | None = None, **asked: Any
) -> Plan:
    model = "demo" if profile == "cpu" else "baichuan2-7b-chat"
    made = plan(model, profile, "0.24.0", share(machine, parts), purpose="server", **asked)
    return for_replica(made, shipped_profile(profile), machine, exported or {}, part, parts)


def found(made: Plan) -> list[str]:
    return [each.message for each in made.findings if each.rule == "replicas"]


def test_the_host_is_shared_out_evenly_and_the_cards_are_not() -> None:
    part = share(replace(cards("sm_80", 4), cpu_cores=5, visible_cores=5, host_memory_bytes=9 * GIB), 2)
    assert (part.cpu_cores, part.visible_cores, part.host_memory_bytes) == (2, 5, 9 * GIB // 2)
    assert len(part.devices) == 4


def test_on_the_cpu_each_starts_threads_for_its_share_of_the_cores() -> None:
    made = replica("cpu", replace(CPU, cpu_cores=8, visible_cores=8), 1, 4)
    assert made.environment["OMP_NUM_THREADS"].value == 2
    assert "CUDA_VISIBLE_DEVICES" not in made.environment


@pytest.mark.parametrize(
    ("profile", "exported", "asked", "name", "values"),
    [
        ("cuda", {}, {}, "CUDA_VISIBLE_DEVICES", ["0", "1"]),
        ("cuda", {}, {"tensor_parallel_size": 2}, "CUDA_VISIBLE_DEVICES", ["0,1", "2,3"]),
        ("cuda", {"CUDA_VISIBLE_DEVICES": "3, 1"}, {}, "CUDA_VISIBLE_DEVICES", ["3", "1"]),
        ("k100-ai", {}, {}, "HIP_VISIBLE_DEVICES", ["0", "1"]),
        ("k100-ai", {"CUDA_VISIBLE_DEVICES": "6,7"}, {}, "CUDA_VISIBLE_DEVICES", ["6", "7"]),
    ],
)
def test_each_has_cards_of_its_own(
    profile: str, exported: dict[str, str], asked: dict[str, int], name: str, values: list[str]
) -> None:
    machine = cards("sm_80" if profile == "cuda" else "gfx928", 4, 64)
    made = [replica(profile, machine, part, 2, exported, **asked) for part in range(2)]
    assert [each.environment[name].value for each in made] == values
    assert [found(each) for each in made] == [[], []]


def test_more_than_there_are_cards() -> None:
    assert replica("cuda", cards("sm_80", 4), 0, 3, tensor_parallel_size=2).findings[-1] == Finding(
        "refusal",
        "replicas",
        "3 replicas × 2 = 6 cards, and this machine has 4.",
        "Use --replicas 2.",
        forceable=True,
    )


def test_more_than_there_are_cores() -> None:
    assert found(replica("cpu", CPU, 0, 3)) == ["replicas 3: this machine has 2 cores."]


@pytest.mark.parametrize("variable", ["VLLM_CPU_OMP_THREADS_BIND", "OMP_NUM_THREADS"])
def test_cores_that_a_person_gives_cannot_be_shared(variable: str) -> None:
    made = replica("cpu", CPU, 0, 2, {variable: "1"})
    assert found(made) == [f"{variable}=1 is set: every replica would take the same cores."]


class TestRouter:
    def found(self, **options: Any) -> list[str]:
        return [each.message for each in router_findings(plan(purpose="server"), ServeOptions(**options))]

    def test_on_this_machine_alone_nothing_speaks_against_it(self) -> None:
        assert self.found() == []

    def test_it_has_no_key_of_its_own_so_a_servers_key_is_not_enough(self) -> None:
        assert "everybody who reaches it" in self.found(host="0.0.0.0", api_key="secret")[0]
        assert self.found(host="0.0.0.0", insecure=True) == []

    def test_it_speaks_no_tls(self) -> None:
        assert self.found(ssl_certfile="/cert.pem") == ["--replicas: vllm-router speaks no TLS."]
