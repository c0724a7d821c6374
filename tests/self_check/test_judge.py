"""Verdicts on what real engines said, with and without a fault in them.

`replies.json` holds the answers of vLLM 0.32.0 on a CPU: `python tests/reference/faulty_engines.py` makes it, and
`tests/e2e/test_self_check.py` runs the same engines afresh.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from baichuan_cli.catalog.model import Architecture, Model, Quantization
from baichuan_cli.self_check import forward
from baichuan_cli.self_check.judge import Error, Fit, Reply, judge
from baichuan_cli.self_check.rounding import Rounding
from baichuan_cli.self_check.weights import CheckpointWeights
from reference import quantized
from reference.baichuan_reference import Shape
from reference.checkpoints import random_weights
from reference.faulty_engines import CASES, Case
from self_check.verdicts import Subject, replies_of, subject_of, verdict_on

RECORDED = json.loads((Path(__file__).parent / "replies.json").read_text())
#: The demo models in bfloat16 on vLLM 0.5.0, torch 2.3 and Python 3.10; its build cuts bfloat16 off.
OLD = json.loads((Path(__file__).parent / "replies-0.5.0.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_called_by_its_name(case: Case) -> None:
    verdict = verdict_on(case, RECORDED)
    assert verdict.passed is (case.cause is None)
    assert (verdict.cause[0].name if verdict.cause else None) == case.cause
    if verdict.cause:
        _, fit = verdict.cause
        assert fit.error.mean < 2 * fit.rounding.mean < verdict.right.error.mean / 20
        assert [cause.name for cause, other in verdict.tried if other.holds] == [case.cause]  # and by no other one


def _judged(replies: list[Reply], subject: Subject, rounding: Rounding, shards: int = 1) -> str | None:
    verdict = judge(replies, subject.weights, subject.shape, subject.model, rounding, shards=shards)
    return "right" if verdict.passed else verdict.cause[0].name if verdict.cause else None


def test_bfloat16_where_float16_was_planned_is_told() -> None:
    subject, replies = subject_of("demo-alibi"), replies_of(RECORDED["alibi"])
    assert _judged(replies, subject, Rounding("float16")) == "bfloat16"
    assert _judged(replies, subject, Rounding("float32")) == "bfloat16"


def test_a_flaw_in_an_engine_that_is_coarser_besides_is_still_called_by_its_name() -> None:
    for fault, cause in (("alibi left out", "alibi"), ("alibi left out in prefill", "alibi-in-prefill")):
        assert _judged(replies_of(RECORDED[fault]), subject_of("demo-alibi"), Rounding("float16")) == cause


@pytest.mark.parametrize("name", ["demo", "demo-alibi"])
def test_an_engine_that_cuts_bfloat16_off_is_right_but_coarse(name: str) -> None:
    subject = subject_of(name)
    verdict = judge(
        replies_of(OLD[f"vLLM 0.5.0, {name}"]), subject.weights, subject.shape, subject.model, Rounding("bfloat16")
    )
    assert verdict.passed and not verdict.right.holds
    assert verdict.cause and verdict.cause[0].name == "bfloat16-cut"
    assert verdict.cause[1].error.mean < 1.1 * verdict.cause[1].rounding.mean


def test_gptq_groups_that_are_cut_between_cards_are_called_by_their_name() -> None:
    """vLLM 0.32.0 on a CPU, float16, two processes, once the plugin had been kept from refusing it."""
    said = json.loads((Path(__file__).parent / "replies-gptq-cut.json").read_text())
    sizes = Shape(hidden_size=256, intermediate_size=384, heads=4, layers=1)
    stored, _ = quantized.quantize_linears(random_weights(sizes), quantized.gptq)
    model = Model(
        "wide",
        Architecture("BaiChuanForCausalLM", 256, 384, 1, 4, 512, "rope", False, 1024),
        "float16",
        "safetensors",
        0,
        Quantization("gptq", 4, 128, desc_act=False),
    )
    subject = Subject(model, CheckpointWeights(stored, ("gptq", 4)), forward.Shape(1, 4, 512))
    assert _judged(replies_of(said), subject, Rounding("float16"), shards=2) == "groups-cut"
    assert _judged(replies_of(said), subject, Rounding("float16")) is None  # on one card that cannot be


def test_a_finer_engine_than_planned_is_right() -> None:
    assert _judged(replies_of(RECORDED["rope, float32"]), subject_of("demo"), Rounding("bfloat16")) == "right"


def test_what_nothing_explains_has_no_cause() -> None:
    swapped = replies_of(RECORDED["rope"])
    shifted = [
        replace(reply, told=tuple((row, token, value + row % 3) for row, token, value in reply.told))
        for reply in swapped
    ]
    assert _judged(shifted, subject_of("demo"), Rounding("bfloat16")) is None


def test_a_greedy_answer_that_is_not_the_likeliest_is_wrong_though_its_numbers_are_right() -> None:
    [reply, _] = replies_of(RECORDED["rope"])
    row = len(reply.prompt) - 1
    others = [token for at, token, _ in reply.told if at == row and token != reply.answer[0]]
    sampled = replace(reply, answer=(others[0],), told=tuple(entry for entry in reply.told if entry[0] <= row))
    verdict = judge(
        [sampled], subject_of("demo").weights, subject_of("demo").shape, subject_of("demo").model, Rounding("bfloat16")
    )
    assert not verdict.passed
    assert verdict.right.error.within(verdict.right.rounding)
    assert verdict.right.behind > 1


def test_numbers_that_are_none_are_wrong() -> None:
    [reply, _] = replies_of(RECORDED["rope"])
    broken = replace(reply, told=tuple((row, token, float("nan")) for row, token, _ in reply.told))
    assert _judged([broken], subject_of("demo"), Rounding("bfloat16")) is None
    infinite = Error(float("inf"), float("inf"))
    assert Error.of([0.1, float("nan")]) == infinite
    # Nothing is right because rounding may lead anywhere.
    assert not Fit(infinite, infinite, 0.0).holds
    assert not Fit(Error(0.1, 0.1), infinite, 0.0).holds


@pytest.mark.parametrize(
    ("mean", "largest", "behind", "holds"),
    [(0.2, 4.0, 8.0, True), (0.21, 4.0, 0.0, False), (0.2, 4.1, 0.0, False), (0.2, 4.0, 8.1, False)],
)
def test_twice_the_mean_and_four_times_the_largest(mean: float, largest: float, behind: float, holds: bool) -> None:
    assert Fit(Error(mean, largest), Error(0.1, 1.0), behind).holds is holds
