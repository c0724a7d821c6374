"""The line that says why a start takes long: once for each plan that compiles, and not after a start that failed."""

from __future__ import annotations

import io

import pytest

from baichuan_cli.cli.first_start import first_start_told
from baichuan_cli.cli.output import Output
from baichuan_cli.plan.draft import Start
from baichuan_cli.plan.model import Plan
from plan.planning import cards, plan

H100 = cards("sm_90")
LINE = "first start with these settings: vLLM compiles, the next start is faster (--fast-start does without)\n"


def said(made: Plan) -> str:
    """Start as if by this plan; return what was told."""
    told = io.StringIO()
    with first_start_told(made, Output(stderr=told)):
        pass
    return told.getvalue()


def test_once_for_each_plan() -> None:
    assert said(plan("demo", "cuda", "0.26.0", H100)) == LINE
    assert said(plan("demo", "cuda", "0.26.0", H100)) == ""
    assert said(plan("demo", "cuda", "0.26.0", H100, max_model_len=512)) == LINE
    assert said(plan("demo", "cuda", "0.27.0", H100)) == LINE
    assert said(plan("demo-alibi", "cuda", "0.26.0", H100)) == LINE


def test_again_after_a_start_that_failed() -> None:
    made = plan("demo", "cuda", "0.26.0", H100)
    with pytest.raises(RuntimeError), first_start_told(made, Output(stderr=io.StringIO())):
        raise RuntimeError
    assert said(made) == LINE


@pytest.mark.parametrize(
    "made",
    [
        plan("demo", "cpu"),
        plan("demo", "cuda", "0.26.0", H100, enforce_eager=True),
        plan("demo", "cuda", "0.26.0", H100, start=Start(fast=True)),
        plan("demo", "cuda", "0.7.3", H100),
    ],
)
def test_never_where_nothing_is_compiled(made: Plan) -> None:
    assert said(made) == ""
