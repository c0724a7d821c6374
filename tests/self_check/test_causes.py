"""Which causes are looked for: those that a model, its quantization and its cards can have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from baichuan_cli.catalog.model import Model, Quantization
from baichuan_cli.self_check.causes import known_causes, right_way
from baichuan_cli.self_check.rounding import Rounding
from plan.planning import catalogue_model

SEVEN = catalogue_model("baichuan-7b")
THIRTEEN = catalogue_model("baichuan2-13b-chat")
GPTQ = replace(SEVEN, quantization=Quantization("gptq", 4, 128, desc_act=True))
ROPE = ["rope", "rope-pairs", "rope-alibi", "plain-head"]
ALIBI = ["alibi-in-prefill", "alibi", "alibi-rope", "norm-head"]


@pytest.mark.parametrize(
    ("model", "shards", "rounding", "names"),
    [
        (SEVEN, 1, Rounding("float16"), [*ROPE, "bfloat16"]),
        (THIRTEEN, 1, Rounding("bfloat16"), [*ALIBI, "bfloat16-cut"]),
        (THIRTEEN, 2, Rounding("bfloat16", fp8=True), [*ALIBI, "head-shard"]),
        (GPTQ, 1, Rounding("float16"), [*ROPE, "order", "zeros", "bfloat16"]),
        (
            GPTQ,
            2,
            Rounding("float16"),
            [*ROPE, "head-shard", "groups-cut", "groups-first", "order", "zeros", "bfloat16"],
        ),
        (
            replace(GPTQ, quantization=Quantization("gptq", 4, 128, desc_act=False)),
            1,
            Rounding("float16"),
            [*ROPE, "zeros", "bfloat16"],
        ),
        (
            replace(GPTQ, quantization=Quantization("awq", 4, 128)),
            2,
            Rounding("float16"),
            [*ROPE, "head-shard", "groups-cut", "groups-first", "bfloat16"],
        ),
    ],
)
def test_the_causes_of_a_model(model: Model, shards: int, rounding: Rounding, names: list[str]) -> None:
    causes = list(known_causes(model, shards, rounding))
    assert [cause.name for cause in causes] == names
    assert all(cause.flawed != right_way(model) for cause in causes)


def test_the_right_way_is_the_architectures() -> None:
    seven, thirteen = right_way(SEVEN), right_way(THIRTEEN)
    assert (seven.position, seven.norm_head, seven.slopes) == ("rope", False, ())
    assert (thirteen.position, thirteen.norm_head, len(thirteen.slopes)) == ("alibi", True, 40)
