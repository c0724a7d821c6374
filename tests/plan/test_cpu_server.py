"""How a plan gets the most out of a CPU: what it preloads, and how many threads it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from baichuan_cli.plan.draft import Purpose
from baichuan_cli.plan.model import Layer
from plan.planning import CPU, cards, plan

FAST = replace(CPU, visible_cores=2, speed_libraries=("/lib/tcmalloc.so", "/venv/libiomp5.so"))


def environment(purpose: Purpose = "server", profile: str = "cpu", machine: Any = FAST, **exported: str) -> Any:
    made = plan(
        "demo", profile, "0.32.0", machine, purpose=purpose, layers=[Layer("environment", environment=exported)]
    )
    names = ("LD_PRELOAD", "OMP_NUM_THREADS")
    return {name: made.environment[name].value for name in names if name in made.environment}


def test_a_server_preloads_what_is_here() -> None:
    assert environment() == {"LD_PRELOAD": "/lib/tcmalloc.so:/venv/libiomp5.so"}
    assert environment(machine=replace(FAST, speed_libraries=())) == {}


def test_an_engine_in_this_process_cannot_preload() -> None:
    assert environment("offline") == {}


def test_a_persons_own_preload_stays() -> None:
    assert environment(LD_PRELOAD="/mine.so") == {"LD_PRELOAD": "/mine.so"}


def test_cards_need_none_of_it() -> None:
    machine = replace(cards("sm_90"), visible_cores=8, speed_libraries=("/lib/tcmalloc.so",))
    assert environment(profile="cuda", machine=machine) == {}


def test_no_more_threads_than_a_quota_grants() -> None:
    machine = replace(CPU, cpu_cores=3, visible_cores=64)
    assert environment(machine=machine) == {"OMP_NUM_THREADS": 3}
    assert environment("offline", machine=machine) == {"OMP_NUM_THREADS": 3}
    assert environment(machine=machine, OMP_NUM_THREADS="5") == {"OMP_NUM_THREADS": "5"}
