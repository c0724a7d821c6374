"""Judging what `faulty_engines.py` was told, by the weights that its engines had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from baichuan_cli.catalog.model import Architecture, Model
from baichuan_cli.catalog.resolve import resolve_model
from baichuan_cli.self_check.forward import Shape, Weights
from baichuan_cli.self_check.judge import Reply, Verdict, judge
from baichuan_cli.self_check.rounding import Rounding
from baichuan_cli.self_check.weights import CheckpointWeights, open_weights, shape_of
from reference.checkpoints import random_weights
from reference.faulty_engines import NORM_HEAD, Case


@dataclass(frozen=True)
class Subject:
    """A model to judge answers by."""

    model: Model
    weights: Weights
    shape: Shape


@cache
def subject_of(name: str) -> Subject:
    """Return one of the demo models, or the small one with a normalised head."""
    if name != "norm-head":
        model = resolve_model(name)
        return Subject(model, open_weights(model), shape_of(model))
    sizes = Architecture("BaichuanForCausalLM", 192, 320, 2, 6, NORM_HEAD.vocab_size, "rope", True, 1024)
    weights = CheckpointWeights(random_weights(NORM_HEAD))
    return Subject(Model(name, sizes, "float32", "safetensors", 0), weights, Shape(2, 6, NORM_HEAD.vocab_size))


def replies_of(said: Sequence[Mapping[str, Any]]) -> list[Reply]:
    """Return replies as they were before they became JSON."""
    return [
        Reply(
            tuple(one["prompt"]), tuple(one["answer"]), tuple((row, token, value) for row, token, value in one["told"])
        )
        for one in said
    ]


def verdict_on(case: Case, found: Mapping[str, Any]) -> Verdict:
    """Judge the engine of a case."""
    subject = subject_of(case.model)
    rounding = Rounding("float32" if case.dtype == "float32" else "bfloat16")
    return judge(replies_of(found[case.name]), subject.weights, subject.shape, subject.model, rounding)
