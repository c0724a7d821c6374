"""What a benchmark sends: prompts, and how many tokens each is to be answered with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from baichuan_cli.batch.item import Message
from baichuan_cli.bench.record import Value


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request of a workload."""

    token_ids: tuple[int, ...]
    output_tokens: int
    text: str | None = None  # the same as text, for servers that are asked in chat; None where there is no tokenizer
    messages: tuple[Message, ...] | None = None  # a chat of a person's own file
    sampling: Mapping[str, object] = field(default_factory=dict)  # what a line of that file sets besides


class Workload(Protocol):
    """A source of prompts.

    Attributes:
        shape: what it sends, for the record; two runs with different shapes are not compared.
        uniform: every prompt has the same length, and so has every answer.
        nominal: tokens are counted as asked for, not as they are; only `--legacy` does that.
    """

    shape: Mapping[str, Value]
    uniform: bool
    nominal: bool

    def draw(self, count: int, turn: int) -> tuple[Prompt, ...]:
        """Return prompts; the same for the same turn. A data set gives its own prompts whatever the turn is.

        Raises:
            BcliError: the source has fewer prompts.
        """
        ...
