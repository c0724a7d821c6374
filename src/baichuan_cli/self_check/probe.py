"""The prompts of a self-check: lines of Tang poems and of Shakespeare, which every tokenizer can spell.

A line that the demo models know, to show a greedy answer that a person can read; and a text long enough that an
answer without ALiBi is far from the right one, and that it needs more than one block of any KV cache.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from baichuan_cli.self_check.ask import ANSWER_TOKENS

if TYPE_CHECKING:
    from baichuan_cli.tokenizer.load import Tokenizer

OPENING = "床前明月光"
_LONG = 160  # tokens


def prompts_for(tokenizer: Tokenizer, max_model_len: int) -> list[tuple[int, ...]]:
    """Return the prompts as token ids, cut to what the engine has room for."""
    room = max(1, max_model_len - ANSWER_TOKENS)
    text = files("baichuan_cli.bench").joinpath("verse.txt").read_text(encoding="utf-8")
    _, rest = text.split("\n", 1)  # what follows the opening's own line
    return [tuple(tokenizer.encode(OPENING))[:room], tuple(tokenizer.encode(rest))[: min(room, _LONG)]]
