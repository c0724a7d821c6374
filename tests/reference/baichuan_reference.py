"""The self-check's own float32 pass, for small random models that tests make up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from baichuan_cli.self_check import forward
from baichuan_cli.self_check.forward import Asked, Computation, Scores, alibi_slopes
from baichuan_cli.self_check.rounding import EXACT, Rounding
from baichuan_cli.self_check.weights import CheckpointWeights


@dataclass(frozen=True)
class Shape:
    """A Baichuan model's sizes. Names of tensors are the checkpoint's."""

    hidden_size: int = 192
    intermediate_size: int = 320
    layers: int = 2
    heads: int = 6
    vocab_size: int = 512
    alibi: bool = False
    norm_head: bool = False

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.heads


def scores(
    weights: Mapping[str, Tensor],
    shape: Shape,
    ids: Sequence[int],
    places: Sequence[tuple[int, int]],
    head_slopes: Sequence[float] | None = None,
    rounding: Rounding = EXACT,
) -> Scores:
    """Return log-probabilities at (row, token); `head_slopes` replaces ALiBi's. Runs where the weights are."""
    slopes = tuple(head_slopes or alibi_slopes(shape.heads)) if shape.alibi else ()
    computation = Computation("alibi" if shape.alibi else "rope", shape.norm_head, slopes, rounding=rounding)
    sizes = forward.Shape(shape.layers, shape.heads, shape.vocab_size)
    asked = Asked(tuple(ids), len(ids), tuple(places))
    [found] = forward.scores(CheckpointWeights(weights), sizes, [asked], [computation])
    return found


def choices(weights: Mapping[str, Tensor], shape: Shape, ids: Sequence[int], first: int) -> list[int]:
    """Return the likeliest token after each position from `first` on."""
    found: list[int] = scores(weights, shape, ids, [(row, 0) for row in range(first, len(ids))]).choices[0].tolist()
    return found
