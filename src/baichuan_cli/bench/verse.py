"""Prompts of real text at an exact length: lines of Tang poems and Shakespeare's sonnets in an order of their own.

Real text compresses and repeats as people's prompts do, which random tokens do not. The poems are in the public
domain.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from baichuan_cli.bench.record import Value
from baichuan_cli.bench.workload import Prompt

if TYPE_CHECKING:
    from baichuan_cli.tokenizer.load import Tokenizer


class Verse:
    """Prompts of `input_len` tokens, each a different order of lines, answered with `output_len` tokens."""

    uniform = True
    nominal = False

    def __init__(self, tokenizer: Tokenizer, input_len: int, output_len: int, *, seed: int = 0) -> None:
        self.shape: Mapping[str, Value] = {"dataset": "sonnet", "input_len": input_len, "output_len": output_len}
        self._tokenizer, self._seed = tokenizer, seed
        self._input_len, self._output_len = input_len, output_len
        text = files("baichuan_cli.bench").joinpath("verse.txt").read_text(encoding="utf-8")
        self._lines = [tokenizer.encode(line + "\n") for line in text.splitlines()]

    def draw(self, count: int, turn: int) -> tuple[Prompt, ...]:
        """Return prompts; two start alike only where the same lines were drawn."""
        draw = random.Random(f"{self._seed}/{turn}")
        return tuple(self._prompt(draw) for _ in range(count))

    def _prompt(self, draw: random.Random) -> Prompt:
        ids: list[int] = []
        while len(ids) < self._input_len:
            ids += draw.choice(self._lines)
        exact = tuple(ids[: self._input_len])
        return Prompt(exact, self._output_len, text=self._tokenizer.decode(exact))
