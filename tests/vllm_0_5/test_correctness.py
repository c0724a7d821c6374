"""vLLM 0.5.0's own Baichuan, given its configuration by bcli, against the reference forward: float32, greedy."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from baichuan_cli.self_check.forward import alibi_slopes
from reference.baichuan_reference import Shape
from reference.checkpoints import random_weights, write_checkpoint
from reference.comparison import TOLERANCE, Difference, compare
from reference.programs import Results, results_of

pytestmark = pytest.mark.engine

LENGTHS = (5, 17, 129, 700)
ANSWER = 24
LARGE_VOCABULARY = 125_696
RUN_WITH_THE_PLUGIN = """
import runpy, sys
from baichuan_cli.vllm_plugin import register
register()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Case(NamedTuple):
    """A checkpoint in a shape that 0.5.0 takes for what it is."""

    shape: Shape
    config: dict[str, Any] = {}
    as_bin: bool = False

    @property
    def prompts(self) -> list[list[int]]:
        draw = random.Random(0)
        return [[draw.randrange(3, self.shape.vocab_size) for _ in range(length)] for length in LENGTHS]


BAICHUAN_7B, OTHERS = {"architectures": ["BaiChuanForCausalLM"]}, {"architectures": ["BaichuanForCausalLM"]}
#: Heads of 64, the smallest that 0.5.0's kernels for the CPU take.
SIX_HEADS = Shape(hidden_size=384, heads=6)
TWO_HEADS = Shape(hidden_size=128, heads=2, vocab_size=LARGE_VOCABULARY, norm_head=True)
CASES = {
    "rope by its class": Case(SIX_HEADS, BAICHUAN_7B, as_bin=True),
    "rope by hidden size 4096": Case(Shape(hidden_size=4096, intermediate_size=256, heads=32), OTHERS),
    "alibi, six heads": Case(replace(SIX_HEADS, alibi=True)),
    "rope, NormHead": Case(TWO_HEADS, BAICHUAN_7B),
    "alibi, NormHead": Case(replace(SIX_HEADS, layers=1, vocab_size=LARGE_VOCABULARY, norm_head=True, alibi=True)),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("cases")
    cases = []
    for name, case in CASES.items():
        path = folder / name.replace(" ", "-")
        write_checkpoint(path, case.shape, random_weights(case.shape), as_bin=case.as_bin, **case.config)
        engine = {"model": str(path), "dtype": "float32", "enforce_eager": True, "max_model_len": 1024}
        rounds = [{"prompts": case.prompts, "max_tokens": ANSWER, "prompt_logprobs": True}]
        cases.append({"name": name, "engine": engine, "rounds": rounds})
    (folder / "cases.json").write_text(json.dumps(cases))
    return results_of(
        "engine_process.py",
        folder / "cases.json",
        folder / "results.json",
        through=("-c", RUN_WITH_THE_PLUGIN),
        VLLM_CPU_KVCACHE_SPACE="1",
    )


def _differences(name: str, results: Results, shape: Shape | None = None, **wrong: Any) -> list[Difference]:
    case = CASES[name]
    assert "error" not in results[name], results[name]
    weights = random_weights(case.shape)
    [reports] = results[name]
    pairs = zip(case.prompts, reports, strict=True)
    return [compare(weights, shape or case.shape, prompt, report, **wrong) for prompt, report in pairs]


@pytest.mark.parametrize("name", CASES)
def test_every_logprob_is_the_references(name: str, results: Results) -> None:
    for difference in _differences(name, results):
        assert difference.within(TOLERANCE), difference


def test_the_comparison_sees_one_slope_ten_percent_off(results: Results) -> None:
    wrong = list(alibi_slopes(6))
    wrong[2] *= 1.1
    differences = _differences("alibi, six heads", results, head_slopes=wrong)
    assert not differences[-1].within(100 * TOLERANCE)


def test_the_comparison_sees_a_head_that_is_not_normalised(results: Results) -> None:
    plain = replace(TWO_HEADS, norm_head=False)
    assert not any(each.within(100 * TOLERANCE) for each in _differences("rope, NormHead", results, plain))
