"""The workload of vLLM 0.5's `benchmark_throughput.py`, to reproduce figures that were made with it.

Every prompt is the same word repeated, and tokens are counted as asked for, whatever the tokenizer makes of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from baichuan_cli.bench.record import Value
from baichuan_cli.bench.workload import Prompt

if TYPE_CHECKING:
    from baichuan_cli.tokenizer.load import Tokenizer

_WORD = "hi"


class LegacyPrompts:
    """Identical prompts; `input_len` is what is counted, not what is sent."""

    uniform = True
    nominal = True

    def __init__(self, tokenizer: Tokenizer, input_len: int, output_len: int) -> None:
        self.shape: Mapping[str, Value] = {"dataset": "legacy", "input_len": input_len, "output_len": output_len}
        text = _WORD * (input_len - 1)
        self._prompt = Prompt(tuple(tokenizer.encode(text)), output_len, text=text)
        self._input_len = input_len

    def draw(self, count: int, turn: int) -> tuple[Prompt, ...]:
        """Return the one prompt so many times."""
        return (self._prompt,) * count

    @property
    def why_it_flatters(self) -> str:
        """Return what is wrong with these numbers."""
        real = len(self._prompt.token_ids)
        counted = f"each has {real} tokens and is counted as {self._input_len}" if real != self._input_len else ""
        return "; ".join(
            filter(
                None,
                (
                    "legacy figures flatter: all prompts are the same, so a prefix cache computes them once",
                    counted,
                    "nothing is warmed up",
                ),
            )
        )
