"""vLLM reports nothing about model and machine unless a person wants it to."""

from __future__ import annotations

import pytest

from baichuan_cli.plan.draft import Purpose
from baichuan_cli.plan.model import Layer
from baichuan_cli.plan.render import environment
from plan.planning import plan


@pytest.mark.parametrize("purpose", ["offline", "server"])
def test_usage_is_not_reported(purpose: Purpose) -> None:
    assert environment(plan(purpose=purpose))["VLLM_NO_USAGE_STATS"] == "1"


def test_a_persons_own_choice_stays() -> None:
    exported = Layer("environment", environment={"VLLM_NO_USAGE_STATS": "0"})
    assert "VLLM_NO_USAGE_STATS" not in environment(plan(layers=[exported]))
