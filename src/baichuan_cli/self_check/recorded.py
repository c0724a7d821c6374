"""What the float32 pass says of the demo models, recorded once and shipped: it holds the pass itself to account.

A machine whose torch computes wrongly on the CPU would judge engines wrongly. So the pass has to find the recorded
values again before it is believed. `tools/write_self_check_record.py` makes the record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.self_check.causes import right_way
from baichuan_cli.self_check.forward import Asked, Shape, Weights, scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from baichuan_cli.catalog.model import Model

#: Log-probabilities in float32 on two machines differ by less, whatever the order of their sums.
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Recorded:
    """One prompt with the greedy answer to it, and the log-probability of each token after the first."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    logprobs: tuple[float, ...]

    @property
    def asked(self) -> Asked:
        """Return what the float32 pass is asked, to find the same."""
        ids = (*self.prompt, *self.answer)
        return Asked(ids, len(self.prompt), tuple(enumerate(ids[1:])))


def recorded(name: str) -> tuple[Recorded, ...]:
    """Return the record of one of the demo models; nothing of other models."""
    text = files("baichuan_cli.self_check").joinpath("recorded.json").read_text(encoding="utf-8")
    return tuple(
        Recorded(tuple(entry["prompt"]), tuple(entry["answer"]), tuple(entry["logprobs"]))
        for entry in json.loads(text).get(name, ())
    )


def check_pass(records: Sequence[Recorded], weights: Weights, shape: Shape, model: Model) -> None:
    """Make sure that the float32 pass finds again what was recorded.

    Raises:
        BcliError: it does not.
    """
    [found] = scores(weights, shape, [record.asked for record in records], [right_way(model)])
    said = [value for places in found.places for value in places.tolist()]
    meant = [value for record in records for value in record.logprobs]
    furthest = max(abs(a - b) for a, b in zip(said, meant, strict=True))
    if not furthest <= _TOLERANCE:  # also where it is no number
        raise BcliError(
            f"The float32 pass over {model.name} is {furthest:.3g} away from what was recorded: torch computes wrongly"
            " on this machine's processor, or the bundled model is damaged.",
            hint="Nothing can be judged here. Install bcli again; if that does not help, another build of torch.",
            exit_code=ExitCode.INVALID,
        )
