"""How far an engine's answers are from the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from reference.baichuan_reference import Shape, scores

TOLERANCE = 1e-3  # float32 log-probabilities; measured on vLLM 0.32: at most 6e-5


@dataclass(frozen=True)
class Difference:
    """The largest difference of log-probabilities, and the generated tokens that are not the reference's choice."""

    prompt: float
    decode: float
    wrong_tokens: int

    def within(self, tolerance: float) -> bool:
        return self.wrong_tokens == 0 and max(self.prompt, self.decode) <= tolerance


def compare(
    weights: Mapping[str, Tensor],
    shape: Shape,
    prompt: Sequence[int],
    report: Mapping[str, Any],
    head_slopes: Sequence[float] | None = None,
) -> Difference:
    """Judge one answer of `engine_process` by the reference run over the prompt and that answer.

    Greedy tokens are compared step by step: each has to be the reference's first choice after the same prefix.
    """
    answer = report["ids"]
    first = len(prompt) - 1

    def told(reported: Sequence[Mapping[str, float]], start: int) -> list[tuple[int, int, float]]:
        return [(start + i, int(token), value) for i, row in enumerate(reported) for token, value in row.items()]

    said = told(report["prompt_logprobs"][1:], 0) + told(report["logprobs"], first)
    ids = [*prompt, *answer]
    chosen = list(enumerate(answer, start=first))
    found = scores(weights, shape, ids, [(row, token) for row, token, _ in said] + chosen, head_slopes)
    gaps = [(row, abs(value - right)) for (row, _, value), right in zip(said, found.places[0].tolist(), strict=False)]
    choices = found.choices[0][len(said) :].tolist()
    return Difference(
        prompt=max((gap for row, gap in gaps if row < first), default=0.0),
        decode=max((gap for row, gap in gaps if row >= first), default=0.0),
        wrong_tokens=sum(choice != token for choice, token in zip(choices, answer, strict=True)),
    )
