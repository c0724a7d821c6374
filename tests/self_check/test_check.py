"""What is said about a checked engine, whole; and what of a plan decides how coarsely its engine may compute."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from baichuan_cli.catalog.resolve import resolve_model
from baichuan_cli.plan.model import Plan
from baichuan_cli.self_check.check import Checked, check, planned_rounding
from baichuan_cli.self_check.judge import Error, Fit, Reply, Verdict
from baichuan_cli.self_check.rounding import Rounding
from plan.planning import plan
from self_check.verdicts import replies_of

RECORDED = json.loads((Path(__file__).parent / "replies.json").read_text())
OLD = json.loads((Path(__file__).parent / "replies-0.5.0.json").read_text())
POEM = "，疑是地上霜。\n举头望明月，低头"


def _check(model: str, engine: str, **settings: object) -> Checked:
    return check(plan(resolve_model(model), **settings), replies_of(RECORDED[engine]))


def test_a_right_engine() -> None:
    checked = _check("demo-alibi", "alibi")
    assert checked.passed
    assert checked.says == (
        "answers are right: 994 log-probabilities differ from float32 by 0.074 in the mean; rounding to bfloat16 alone"
        " gives 0.075"
    )
    assert checked.fix == ""
    assert (checked.text, checked.poem) == (POEM, POEM)
    told = checked.as_json()
    numbers = ("mean", "largest", "rounding_mean", "rounding_largest", "behind")
    assert all(isinstance(told.pop(name), float) for name in numbers)
    assert told == {
        "model": "demo-alibi",
        "passed": True,
        "rounding": "bfloat16",
        "compared": 994,
        "text": POEM,
        "recorded_text": POEM,
        "cause": None,
        "tried": [],
    }


def test_a_known_cause() -> None:
    checked = _check("demo-alibi", "alibi left out in prefill")
    assert not checked.passed
    assert checked.says == (
        "answers are wrong: they fit a model without ALiBi in prefill. Mean difference 0.087, against 27 to the right"
        " model"
    )
    assert checked.fix.startswith("Choose another attention: --set attention_backend=TRITON_ATTN")
    told = checked.as_json()
    assert told["cause"] == "alibi-in-prefill"
    assert [one["cause"] for one in told["tried"]] == [
        "alibi-in-prefill",
        "alibi",
        "alibi-rope",
        "plain-head",
        "bfloat16-cut",
    ]  # type: ignore[attr-defined]


def test_an_engine_that_is_right_but_coarse() -> None:
    checked = check(plan(resolve_model("demo-alibi")), replies_of(OLD["vLLM 0.5.0, demo-alibi"]))
    assert (checked.passed, checked.coarse) == (True, True)
    assert checked.says == (
        "answers are right, but coarse: mean difference 0.16 from float32; rounding to bfloat16 alone gives 0.075,"
        " cutting it off 0.16"
    )
    assert checked.fix == "--dtype float32 is exact, and --dtype float16 finer where the hardware has it."


def test_no_known_cause() -> None:
    said = replies_of(RECORDED["rope"])
    moved = [
        replace(reply, told=tuple((row, token, value + row % 3) for row, token, value in reply.told)) for reply in said
    ]
    checked = check(plan(resolve_model("demo")), moved)
    assert checked.says.startswith(
        "answers are wrong, and no known cause explains them: mean difference 1, where rounding to bfloat16 alone"
        " gives 0.087; nearest are "
    )
    assert checked.fix.startswith("Do not use these answers.")


def test_a_text_that_is_not_the_recorded_one() -> None:
    right = Fit(Error(0.08, 0.5), Error(0.08, 0.5), 0.0)
    checked = Checked("demo", Rounding("bfloat16"), Verdict(right, 900), "，疑是", POEM)
    assert not checked.passed
    assert checked.says == f"the numbers are right, but not the text: '，疑是' in place of {POEM!r}"


def test_numbers_that_are_none() -> None:
    said = [
        replace(reply, told=tuple((row, token, float("nan")) for row, token, _ in reply.told))
        for reply in replies_of(RECORDED["rope"])
    ]
    checked = check(plan(resolve_model("demo"), dtype="float16", force=True), said)
    assert checked.says == "answers are wrong: some log-probabilities are no numbers; float16 may overflow"
    assert checked.fix == "Use --dtype bfloat16, or float32 where the hardware has no bfloat16."
    assert checked.as_json()["mean"] is None


def test_a_dtype_that_overflows() -> None:
    overflow = Fit(Error(0.1, 0.5), Error.of([float("inf")]), 0.0)
    checked = Checked("demo", Rounding("float16"), Verdict(overflow, 900), POEM, POEM)
    assert not checked.passed
    assert checked.says == "answers cannot be trusted: float16 overflows in this model"
    assert checked.fix == "Use --dtype bfloat16, or float32 where the hardware has no bfloat16."


def test_a_model_of_the_same_name_elsewhere_has_no_record(tmp_path: Path) -> None:
    model = resolve_model("demo")
    assert model.path is not None
    for file in model.path.iterdir():
        (tmp_path / file.name).symlink_to(file)
    replies: list[Reply] = replies_of(RECORDED["rope"])
    checked = check(plan(replace(model, path=tmp_path)), replies)
    assert checked.passed
    assert checked.poem is None


@pytest.mark.parametrize(
    ("planned", "rounding"),
    [
        (plan("demo"), Rounding("bfloat16")),
        (plan("demo", dtype="float32"), Rounding("float32")),
        (plan("demo", dtype="auto"), Rounding("bfloat16")),
        (plan("baichuan2-7b-chat", "cuda", quantization="fp8"), Rounding("bfloat16", fp8=True)),
        (plan("demo", "cuda", kv_cache_dtype="fp8_e4m3"), Rounding("bfloat16", fp8_cache=True)),
        (plan("baichuan2-13b-chat", "z100l", "0.5.0"), Rounding("float16")),
    ],
)
def test_the_plan_decides_how_coarse_is_right(planned: Plan, rounding: Rounding) -> None:
    assert planned_rounding(planned) == rounding
