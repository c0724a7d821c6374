"""Greedy answers to fixed prompts, and whether two engines' answers differ by more than their number format explains.

Two correct engines add in different orders, so log-probabilities differ a little, and where two tokens are nearly as
likely the answers part. Wrong kernels and coarser formats differ more, and part where the tokens were not close.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from baichuan_cli.engine.request import Completion, Request
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.bench.offline import Answering
    from baichuan_cli.plan.model import Plan

_PROMPTS, _PROMPT_TOKENS, _ANSWER_TOKENS = 8, 24, 24
_ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What a format explains, as differences of log-probabilities: of one token at most, and on average."""

    one: float
    mean: float


#: Twice the errors against float32 that docs/benchmarks.md has for an H100 (both engines have one), the largest of any
#: shape there; fp8 and 4-bit formats lie above the mean.
_TOLERANCES: Mapping[str, Tolerance] = {
    "float32": Tolerance(one=0.03, mean=0.004),
    "float16": Tolerance(one=0.05, mean=0.006),
    "bfloat16": Tolerance(one=1.3, mean=0.18),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One token of an answer, with the log-probabilities of the likeliest."""

    token_id: int
    logprobs: Mapping[int, float]


Probe = tuple[tuple[Step, ...], ...]  # an answer for each prompt


def ask(engine: Answering, plan: Plan) -> Probe:
    """Have an engine answer the probe's prompts: real text of the model's own tokens, greedily.

    Raises:
        BcliError: the model is not on this machine, or the engine fails.
    """
    from baichuan_cli.bench.verse import Verse
    from baichuan_cli.catalog.resolve import require_local
    from baichuan_cli.tokenizer.load import load_tokenizer

    tokenizer = load_tokenizer(require_local(plan.model))
    prompts = Verse(tokenizer, _PROMPT_TOKENS, _ANSWER_TOKENS).draw(_PROMPTS, turn=0)
    sampling = {
        "max_tokens": _ANSWER_TOKENS,
        "temperature": 0.0,
        "ignore_eos": True,
        "stop_token_ids": [],
        "logprobs": _ALTERNATIVES,
    }
    requests = [Request(str(number), prompt.token_ids, sampling) for number, prompt in enumerate(prompts)]
    answers = {answer.request_id: answer for answer in engine.run(requests)}
    return tuple(_steps(answers[request.request_id]) for request in requests)


def _steps(answer: object) -> tuple[Step, ...]:
    if not isinstance(answer, Completion) or answer.choices[0].logprobs is None:
        raise BcliError(
            "The engine gives no log-probabilities, so answers cannot be compared.", exit_code=ExitCode.ENGINE
        )
    return tuple(
        Step(token.token_id, {token.token_id: token.logprob, **{each: value for each, _, value in token.top}})
        for token in answer.choices[0].logprobs
    )


def disagreement(reference: Probe, other: Probe, dtype: str) -> str:
    """Return why two engines' answers differ by more than the format explains; empty where it explains everything.

    Answers are compared token by token until they part: from there on they have different texts before them.

    Args:
        dtype: of the computation, in both engines.
    """
    tolerance = _TOLERANCES[dtype]
    differences = []
    for number, (expected, found) in enumerate(zip(reference, other, strict=True), start=1):
        for place, (mine, theirs) in enumerate(zip(expected, found, strict=True), start=1):
            if mine.token_id != theirs.token_id:
                gap = mine.logprobs[mine.token_id] - mine.logprobs.get(theirs.token_id, float("-inf"))
                if gap > tolerance.one:
                    return f"answer {number} parts at token {place}, where the two tokens were {gap:.2f} apart"
                break
            differences.append(abs(mine.logprobs[mine.token_id] - theirs.logprobs[theirs.token_id]))
    if differences and (mean := fmean(differences)) > tolerance.mean:
        return f"log-probabilities differ by {mean:.3f} on average, {dtype} explains {tolerance.mean:g}"
    return ""
