"""Batches from the packed examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_MULTIPLE = 16  # lengths are padded to a multiple, so that few distinct shapes occur


@dataclass(frozen=True)
class Batch:
    """Right-padded `tokens` [batch, length]; `places` are flat positions to predict from, `targets` the answers."""

    tokens: Tensor
    places: Tensor
    targets: Tensor
    examples: np.ndarray

    def to(self, device: torch.device) -> Batch:
        return Batch(self.tokens.to(device), self.places.to(device), self.targets.to(device), self.examples)


class Examples:
    """The examples of `examples.npz`, by number."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self.tokens, self.labels, self.offsets = arrays["tokens"], arrays["labels"], arrays["offsets"]
            self.groups, self.kinds = arrays["groups"], arrays["kinds"]
            self.kind_names = [str(name) for name in arrays["kind_names"]]
        self.lengths = np.diff(self.offsets)

    def kind(self, example: int) -> str:
        return self.kind_names[self.kinds[example]]

    def of_kind(self, kind: str) -> np.ndarray:
        """Return the numbers of all examples of this kind."""
        return np.flatnonzero(self.kinds == self.kind_names.index(kind))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return one random example of each group."""
        order = rng.permutation(len(self.groups))
        _, first = np.unique(self.groups[order], return_index=True)
        return order[first]

    def batches(self, chosen: np.ndarray, budget: int, rows: int = 10**9) -> Iterator[Batch]:
        """Yield the chosen examples, short ones first, at most `budget` padded tokens and `rows` examples each."""
        ordered = chosen[np.argsort(self.lengths[chosen], kind="stable")]
        start = 0
        while start < len(ordered):
            end = start + 1
            while end < len(ordered) and end - start < rows:
                if self._padded(ordered[end]) * (end - start + 1) > budget:
                    break
                end += 1
            yield self._batch(ordered[start:end])
            start = end

    def _padded(self, example: int) -> int:
        return -(-int(self.lengths[example]) // _MULTIPLE) * _MULTIPLE

    def _batch(self, chosen: np.ndarray) -> Batch:
        width = self._padded(chosen[-1])
        tokens = np.zeros((len(chosen), width), dtype=np.int64)
        labels = np.full((len(chosen), width), -100, dtype=np.int64)
        for row, example in enumerate(chosen):
            span = slice(self.offsets[example], self.offsets[example + 1])
            tokens[row, : self.lengths[example]] = self.tokens[span]
            labels[row, : self.lengths[example]] = self.labels[span]
        places = np.flatnonzero(labels != -100)
        return Batch(
            torch.from_numpy(tokens), torch.from_numpy(places), torch.from_numpy(labels.reshape(-1)[places]), chosen
        )
