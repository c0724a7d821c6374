"""The two demos: their shapes and the numbers of their training."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Shape
from .tokenizer_ids import VOCAB_SIZE


@dataclass(frozen=True)
class Recipe:
    """What to train; `seed` fixes the initial weights and the order of the examples."""

    shape: Shape
    seed: int
    peak_lr: float
    steps: int = 5000
    tokens_per_batch: int = 8192


RECIPES = {
    # Heads and intermediate size divide by 4 for tensor parallelism; all sizes divide by 128 for GPTQ groups.
    "demo": Recipe(
        Shape(VOCAB_SIZE, hidden_size=256, intermediate_size=512, num_layers=4, num_heads=4, alibi=False),
        seed=1,
        peak_lr=2e-3,
    ),
    # Six heads: no power of two, as the 40 of the 13B models.
    "demo-alibi": Recipe(
        Shape(VOCAB_SIZE, hidden_size=384, intermediate_size=512, num_layers=2, num_heads=6, alibi=True),
        seed=2,
        peak_lr=2e-3,
    ),
}
