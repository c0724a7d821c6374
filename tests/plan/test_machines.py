"""tp × pp cards on several machines: only servers, only recent releases, and never unevenly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from baichuan_cli.plan.draft import Purpose
from plan.planning import CPU, cards, plan

ASKED: dict[str, Any] = {"nnodes": 2, "master_addr": "10.0.0.1", "tensor_parallel_size": 8,
                                      "pipeline_parallel_size": 2}  # fmt: skip


def found(release: str = "0.24.0", purpose: Purpose = "server", **asked: object) -> list[str]:
    made = plan("baichuan2-13b-base", "cuda", release, cards("sm_80", 8), purpose=purpose, **{**ASKED, **asked})
    return [each.message for each in made.refusals if each.rule in ("machines", "cards")]


def test_what_works_is_left_alone_and_needs_no_ray() -> None:
    made = plan("baichuan2-13b-base", "cuda", "0.24.0", cards("sm_80", 8), purpose="server", **ASKED)
    assert made.refusals == ()
    assert made.settings["distributed_executor_backend"].value == "mp"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"release": "0.11.0"}, "nnodes 2: vLLM 0.11.0 joins no machines by itself."),
        ({"release": "0.5.0"}, "nnodes 2: vLLM 0.5.0 joins no machines by itself."),
        ({"purpose": "offline"}, "nnodes 2: only a server can span several machines."),
        ({"node_rank": 2}, "node_rank 2 of 2 machines: they are numbered from 0."),
        ({"nnodes": 1, "node_rank": 1}, "node_rank 1 of 1 machines: they are numbered from 0."),
        ({"nnodes": 3}, "tensor_parallel_size 8 × pipeline_parallel_size 2 = 16 cards cannot be shared out evenly"
         " to 3 machines."),
        ({"distributed_executor_backend": "ray"}, "nnodes 2 and Ray are two ways of joining machines."),
    ],
)  # fmt: skip
def test_what_does_not_is_refused(changed: dict[str, Any], message: str) -> None:
    assert message in found(**changed)


def test_machine_0_must_be_known() -> None:
    made = plan(
        "baichuan2-7b-base", "cuda", "0.24.0", cards("sm_80", 8), purpose="server", nnodes=2, tensor_parallel_size=16
    )
    assert [each.message for each in made.refusals] == ["nnodes 2: where is machine 0?"]


def test_each_machine_needs_its_share_of_cards_alone() -> None:
    asked = {**ASKED, "nnodes": 4, "tensor_parallel_size": 8, "pipeline_parallel_size": 8}
    made = plan("baichuan2-13b-base", "cuda", "0.24.0", cards("sm_80", 8), purpose="server", **asked)
    assert "= 64 cards on 4 machines, and this machine has 8." in made.refusals[0].message


def test_on_the_cpu_there_is_another_way() -> None:
    made = plan("demo", "cpu", "0.32.0", replace(CPU, numa_nodes=2), purpose="server", nnodes=2,
                tensor_parallel_size=2, master_addr="10.0.0.1")  # fmt: skip
    assert [each.hint for each in made.refusals if each.rule == "machines"] == ["Use --replicas."]


def test_the_cards_of_other_machines_are_rays_to_know() -> None:
    asked = {"tensor_parallel_size": 16, "distributed_executor_backend": "ray"}
    made = plan("baichuan2-7b-base", "cuda", "0.8.2", cards("sm_80", 8), purpose="server", **asked)
    assert made.refusals == ()
    assert "the others must be in Ray's cluster" in made.warnings[-1].message
