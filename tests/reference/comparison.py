"""How far an engine's answers are from the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from reference.baichuan_reference import Shape, logprobs

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
    head_slopes: list[float] | None = None,
) -> Difference:
    """Judge one answer of `engine_process` by the reference run over the prompt and that answer.

    Greedy tokens are compared step by step: each has to be the reference's first choice after the same prefix.
    """
    answer = report["ids"]
    reference = logprobs(weights, shape, [*prompt, *answer], head_slopes)

    def largest(reported: Sequence[Mapping[str, float]], first: int) -> float:
        pairs = ((first + i, int(t), value) for i, row in enumerate(reported) for t, value in row.items())
        return max((abs(value - reference[row, token].item()) for row, token, value in pairs), default=0.0)

    choices = reference[len(prompt) - 1 : -1].argmax(dim=-1).tolist()
    return Difference(
        prompt=largest(report["prompt_logprobs"][1:], 0),
        decode=largest(report["logprobs"], len(prompt) - 1),
        wrong_tokens=sum(chosen != token for chosen, token in zip(choices, answer, strict=True)),
    )
