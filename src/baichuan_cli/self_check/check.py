"""One self-check from the plan of an engine and its replies to what is said about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baichuan_cli.catalog.resolve import require_local
from baichuan_cli.demo import DEMO_NAMES, demo_path
from baichuan_cli.self_check.judge import Fit, Reply, Verdict, judge
from baichuan_cli.self_check.recorded import check_pass, recorded
from baichuan_cli.self_check.rounding import Precision, Rounding
from baichuan_cli.self_check.weights import open_weights, shape_of
from baichuan_cli.tokenizer.load import load_tokenizer

if TYPE_CHECKING:
    from baichuan_cli.plan.model import Plan

_PRECISIONS: Mapping[str, Precision] = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}
_UNKNOWN = (
    "Do not use these answers. Try --set enforce_eager=true, another attention backend, or another release of vLLM,\n"
    "and report what bcli doctor --engine --json says."
)


@dataclass(frozen=True, slots=True)
class Checked:
    """A model whose engine was judged.

    Attributes:
        rounding: as coarse as the engine was planned to compute.
        verdict: how its numbers compare.
        text: its greedy answer to the opening line of a poem.
        poem: the right answer, where it is recorded.
    """

    model: str
    rounding: Rounding
    verdict: Verdict
    text: str
    poem: str | None

    @property
    def passed(self) -> bool:
        """Tell whether the answers can be trusted."""
        return self.verdict.passed and self.poem in (None, self.text)

    @property
    def coarse(self) -> bool:
        """Tell whether the answers are right, but coarser than planned."""
        return self.passed and not self.verdict.right.holds

    @property
    def says(self) -> str:
        """Return the outcome in one sentence, with its numbers."""
        right = self.verdict.right
        alone = f"rounding to {self.rounding} alone gives {_number(right.rounding.mean)}"
        if self.coarse and (found := self.verdict.cause):
            cause, fit = found
            return (
                f"answers are right, but coarse: mean difference {_number(right.error.mean)} from float32; {alone},"
                f" {cause.what} {_number(fit.rounding.mean)}"
            )
        if self.passed:
            return (
                f"answers are right: {self.verdict.compared:,} log-probabilities differ from float32 by"
                f" {_number(right.error.mean)} in the mean; {alone}"
            )
        if self.verdict.passed:
            return f"the numbers are right, but not the text: {self.text!r} in place of {self.poem!r}"
        if math.isinf(right.error.mean):
            return f"answers are wrong: some log-probabilities are no numbers; {self.rounding} may overflow"
        if math.isinf(right.rounding.mean):
            return f"answers cannot be trusted: {self.rounding} overflows in this model"
        if found := self.verdict.cause:
            cause, fit = found
            return (
                f"answers are wrong: they fit {cause.what}. Mean difference {_number(fit.error.mean)}, against"
                f" {_number(right.error.mean)} to the right model"
            )
        nearest = ", ".join(f"{cause.name} {_number(fit.error.mean)}" for cause, fit in self.verdict.tried[:3])
        return (
            f"answers are wrong, and no known cause explains them: mean difference {_number(right.error.mean)}, where"
            f" {alone}; nearest are {nearest}"
        )

    @property
    def fix(self) -> str:
        """Return what to do about it; empty where all is well."""
        if self.passed and not self.coarse:
            return ""
        if math.isinf(self.verdict.right.error.mean + self.verdict.right.rounding.mean):
            return "Use --dtype bfloat16, or float32 where the hardware has no bfloat16."
        found = self.verdict.cause
        return found[0].hint if found else _UNKNOWN

    def as_json(self) -> dict[str, object]:
        """Return everything as plain data."""
        found = self.verdict.cause
        return {
            "model": self.model,
            "passed": self.passed,
            "rounding": str(self.rounding),
            "compared": self.verdict.compared,
            **_fit_as_json(self.verdict.right),
            "text": self.text,
            "recorded_text": self.poem,
            "cause": found[0].name if found else None,
            "tried": [{"cause": cause.name, **_fit_as_json(fit)} for cause, fit in self.verdict.tried],
        }


def planned_rounding(plan: Plan) -> Rounding:
    """Return how coarsely the engine of a plan computes."""
    dtype, quantization, cache = (plan.settings[name].value for name in ("dtype", "quantization", "kv_cache_dtype"))
    return Rounding(_PRECISIONS[str(dtype)], fp8=quantization == "fp8", fp8_cache=str(cache).startswith("fp8"))


def check(plan: Plan, replies: Sequence[Reply], progress: Callable[[int], None] = lambda layer: None) -> Checked:
    """Judge what the engine of a plan replied to the prompts of the self-check.

    Args:
        plan: of the engine; its model is on this machine.
        replies: to `prompts_for`.
        progress: called with each layer that the float32 pass has done.

    Raises:
        BcliError: the weights cannot be read, or this machine's float32 pass is not to be believed.
    """
    model = plan.model
    bundled = model.name in DEMO_NAMES and model.path == demo_path(model.name)
    records = recorded(model.name) if bundled else ()
    weights, shape = open_weights(model), shape_of(model)
    if records:
        check_pass(records, weights, shape, model)
    rounding = planned_rounding(plan)
    shards = int(str(plan.settings["tensor_parallel_size"].value))
    verdict = judge(replies, weights, shape, model, rounding, shards=shards, progress=progress)
    tokenizer = load_tokenizer(require_local(model))
    comparable = bool(records) and records[0].prompt == replies[0].prompt  # an engine with little room is asked less
    poem = tokenizer.decode(records[0].answer) if comparable else None
    return Checked(model.name, rounding, verdict, tokenizer.decode(replies[0].answer), poem)


def _fit_as_json(fit: Fit) -> dict[str, object]:
    """Return a fit as plain data; JSON has no infinity."""
    numbers = {
        "mean": fit.error.mean,
        "largest": fit.error.largest,
        "rounding_mean": fit.rounding.mean,
        "rounding_largest": fit.rounding.largest,
        "behind": fit.behind,
    }
    return {name: round(number, 6) if math.isfinite(number) else None for name, number in numbers.items()}


def _number(value: float) -> str:
    return f"{value:.2g}"
