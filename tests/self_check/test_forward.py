"""The float32 pass: against transformers' Llama where the two models are the same, and against itself where not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from baichuan_cli.self_check import forward
from baichuan_cli.self_check.forward import Asked, Computation, Shape, alibi_slopes, scores
from baichuan_cli.self_check.rounding import Rounding
from baichuan_cli.self_check.weights import CheckpointWeights
from reference import baichuan_reference
from reference.checkpoints import random_weights

SIZES = baichuan_reference.Shape(vocab_size=300)
SHAPE = Shape(SIZES.layers, SIZES.heads, SIZES.vocab_size)
WEIGHTS = random_weights(SIZES)
ROPE = Computation("rope", norm_head=False)
ALIBI = Computation("alibi", norm_head=False, slopes=alibi_slopes(SIZES.heads))
LONG = Asked(tuple(3 + place * 7 % 290 for place in range(40)), 30, tuple((row, row * 11 % 300) for row in range(40)))
SHORT = Asked((5, 6, 7), 2, ((0, 6), (2, 299)))


def _run(computation: Computation, asked: Asked = LONG, shape: Shape = SHAPE) -> Tensor:
    [found] = scores(CheckpointWeights(WEIGHTS), shape, [asked], [computation])
    return found.places[0]


def test_rope_is_llamas() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=SIZES.hidden_size,
        intermediate_size=SIZES.intermediate_size,
        num_hidden_layers=SIZES.layers,
        num_attention_heads=SIZES.heads,
        vocab_size=SIZES.vocab_size,
        rms_norm_eps=1e-5,
        rope_theta=500.0,
    )
    theirs = {name: tensor for name, tensor in WEIGHTS.items() if "W_pack" not in name}
    for layer in range(SIZES.layers):
        prefix = f"model.layers.{layer}.self_attn."
        for part, weight in zip("qkv", WEIGHTS[prefix + "W_pack.weight"].chunk(3), strict=True):
            theirs[f"{prefix}{part}_proj.weight"] = weight
    llama = LlamaForCausalLM(config)
    llama.load_state_dict(theirs)
    with torch.no_grad():
        expected = torch.log_softmax(llama(torch.tensor([LONG.ids])).logits[0], dim=-1)
    found = _run(ROPE, shape=replace(SHAPE, epsilon=1e-5, theta=500.0))
    torch.testing.assert_close(found, torch.stack([expected[place] for place in LONG.places]), atol=1e-4, rtol=0)


def test_the_slopes_of_40_heads_are_the_papers() -> None:
    slopes = alibi_slopes(40)
    assert slopes[:32] == pytest.approx([2 ** (-0.25 * i) for i in range(1, 33)])
    assert slopes[32:] == pytest.approx([2 ** (-0.125 * (2 * j + 1)) for j in range(8)])


def test_alibi_without_slopes_is_no_position_at_all() -> None:
    flat = replace(ALIBI, slopes=(0.0,) * SIZES.heads)
    torch.testing.assert_close(_run(flat), _run(replace(ALIBI, position="none")))
    assert (_run(flat) - _run(ALIBI)).abs().mean() > 0.1


def test_alibi_left_out_in_prefill_spares_nothing_that_follows() -> None:
    dropped = replace(ALIBI, bias_in_prefill=False)
    torch.testing.assert_close(_run(dropped)[:30], _run(replace(ALIBI, position="none"))[:30])
    # The answer's own tokens have the bias, but attend to keys and values that were made without it.
    assert (_run(dropped)[30:] - _run(ALIBI)[30:]).abs().mean() > 0.01
    assert (_run(dropped)[30:] - _run(replace(ALIBI, position="none"))[30:]).abs().mean() > 0.01


def test_a_row_depends_on_nothing_after_it() -> None:
    shorter = Asked(LONG.ids[:20], 20, LONG.places[:20])
    torch.testing.assert_close(_run(ALIBI, shorter), _run(ALIBI)[:20])


def test_a_normalised_head_does_not_see_how_long_its_rows_are() -> None:
    longer = WEIGHTS | {"lm_head.weight": WEIGHTS["lm_head.weight"] * torch.rand(300, 1).add(0.5)}
    normalised = replace(ROPE, norm_head=True)
    [found] = scores(CheckpointWeights(longer), SHAPE, [LONG], [normalised])
    torch.testing.assert_close(found.places[0], _run(normalised))


def test_a_head_whose_first_shard_is_everywhere_repeats_itself() -> None:
    [found] = scores(
        CheckpointWeights(WEIGHTS),
        SHAPE,
        [Asked(SHORT.ids, 3, ((2, 10), (2, 160)))],
        [replace(ROPE, shards=2, head_split=True)],
    )
    first, second = found.places[0].tolist()
    assert first == second
    everything = Asked(SHORT.ids, 3, tuple((2, token) for token in range(300)))
    assert _run(replace(ROPE, shards=2, head_split=True), everything).exp().sum().item() == pytest.approx(1)


def test_together_or_alone_in_one_part_or_many_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    computations = [ROPE, ALIBI, replace(ROPE, rounding=Rounding("bfloat16")), replace(ALIBI, norm_head=True)]
    alone = [[_run(computation, asked) for asked in (LONG, SHORT)] for computation in computations]
    monkeypatch.setattr(forward, "_VOCABULARY_STEP", 70)
    together = scores(CheckpointWeights(WEIGHTS), SHAPE, [LONG, SHORT], computations)
    for found, expected in zip(together, alone, strict=True):
        for places, right in zip(found.places, expected, strict=True):
            torch.testing.assert_close(places, right, atol=2e-5, rtol=1e-5)


def test_the_likeliest_token_is_told_with_its_log_probability() -> None:
    everything = Asked(SHORT.ids, 3, tuple((2, token) for token in range(300)))
    [found] = scores(CheckpointWeights(WEIGHTS), SHAPE, [everything], [ROPE])
    best = int(found.places[0].argmax())
    assert found.choices[0].tolist() == [best] * 300
    assert found.best[0].tolist() == pytest.approx([found.places[0][best].item()] * 300)


@pytest.mark.parametrize(
    ("rounding", "least", "most"),
    [
        (Rounding("float32"), 1e-4, 5e-2),
        (Rounding("float16"), 1e-4, 5e-2),
        (Rounding("bfloat16"), 5e-3, 5e-1),
        (Rounding("bfloat16", fp8=True), 5e-2, 5),
        (Rounding("bfloat16", fp8_cache=True), 1e-2, 5),
    ],
    ids=str,
)
def test_rounding_leads_away_as_far_as_its_bits(rounding: Rounding, least: float, most: float) -> None:
    gap = (_run(replace(ALIBI, rounding=rounding)) - _run(ALIBI)).abs().mean().item()
    assert least < gap < most
