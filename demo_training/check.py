"""Measure what a set of weights recites, and by how much: the answer's logit minus the next best one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .data import Batch, Examples
from .model import Baichuan, Shape


@dataclass(frozen=True)
class Score:
    """Over the examples of one kind: how many are predicted to the last token, and the smallest margin (logits)."""

    examples: int
    recited: int
    min_margin: float


def load_model(shape: Shape, weights: dict[str, Tensor], dtype: torch.dtype, device: torch.device) -> Baichuan:
    """Return a model that holds and computes in `dtype`."""
    model = Baichuan(shape)
    model.load_state_dict(weights)
    return model.to(device, dtype).eval()


@torch.no_grad()
def margins(model: Baichuan, batch: Batch) -> np.ndarray:
    """Return each example's smallest margin; greedy decoding gives the example back exactly when it is positive.

    That one forward pass with the answer as input proves the step-by-step decoding: each step sees the same tokens as
    long as all steps before were right.
    """
    hidden = model.hidden(batch.tokens).flatten(0, 1)[batch.places]
    logits = model.lm_head(hidden).float()
    right = logits.gather(1, batch.targets[:, None]).squeeze(1)
    others = logits.scatter(1, batch.targets[:, None], float("-inf")).amax(dim=1)
    rows = (batch.places // batch.tokens.shape[1]).cpu().numpy()
    smallest = np.full(len(batch.examples), np.inf)
    np.minimum.at(smallest, rows, (right - others).cpu().numpy())
    return smallest


def score(
    model: Baichuan, examples: Examples, chosen: np.ndarray, device: torch.device, rows: int = 64
) -> dict[str, Score]:
    """Return the score of each kind among the chosen examples, `rows` at a time."""
    by_kind: dict[str, list[float]] = defaultdict(list)
    for batch in examples.batches(chosen, budget=32768, rows=rows):
        for example, margin in zip(batch.examples, margins(model, batch.to(device)), strict=True):
            by_kind[examples.kind(example)].append(float(margin))
    return {
        kind: Score(len(values), sum(value > 0 for value in values), round(min(values), 3))
        for kind, values in sorted(by_kind.items())
    }
