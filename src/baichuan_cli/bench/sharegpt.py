"""ShareGPT: the first question of each conversation, answered as long as the answer there was.

Which conversations count is what vLLM's benchmarks take: at least two turns, a prompt of 4 to 1,024 tokens, an answer
of at least 4, and at most 2,048 together, or what the context holds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli.bench.record import Value
from baichuan_cli.bench.workload import Prompt
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.tokenizer.load import Tokenizer

_LEAST, _LONGEST_PROMPT, _LONGEST = 4, 1024, 2048


class ShareGpt:
    """Conversations of a ShareGPT file in an order drawn by `seed`.

    Raises:
        BcliError: the file is missing or no ShareGPT file.
    """

    uniform = False
    nominal = False

    def __init__(
        self, path: Path, tokenizer: Tokenizer, seed: int, max_model_len: int, output_len: int | None = None
    ) -> None:
        self.shape: Mapping[str, Value] = {
            "dataset": "sharegpt",
            "file": path.name,
            "seed": seed,
            "output_len": output_len,
            **({"longest": max_model_len} if max_model_len < _LONGEST else {}),  # other conversations are sent then
        }
        self._longest = min(_LONGEST, max_model_len)
        self._path, self._tokenizer, self._output_len = path, tokenizer, output_len
        self._conversations = _read(path)
        random.Random(seed).shuffle(self._conversations)

    def draw(self, count: int, turn: int) -> tuple[Prompt, ...]:
        """Return the first prompts of the order.

        Raises:
            BcliError: the file has not so many that count.
        """
        prompts = []
        for prompt in self._usable():
            prompts.append(prompt)
            if len(prompts) == count:
                return tuple(prompts)
        raise BcliError(
            f"{self._path} has only {len(prompts)} usable conversations, not {count}.",
            hint=f"Use --num-prompts {len(prompts)}." if prompts else "",
        )

    def _usable(self) -> Iterator[Prompt]:
        for question, answer in self._conversations:
            ids = self._tokenizer.encode(question)
            wanted = self._output_len or len(self._tokenizer.encode(answer))
            if _LEAST <= len(ids) <= _LONGEST_PROMPT and wanted >= _LEAST and len(ids) + wanted <= self._longest:
                yield Prompt(tuple(ids), wanted, text=question)


def _read(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        raise BcliError(
            f"There is no data set {path}.",
            hint="Fetch ShareGPT with: bcli download sharegpt\nand name it: --dataset sharegpt",
            exit_code=ExitCode.NOT_FOUND,
        )
    try:
        data = json.loads(path.read_bytes())
        return [pair for entry in data if (pair := _first_turns(entry))]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BcliError(
            f"{path} is no ShareGPT file: a list of objects with conversations is expected.",
            hint="A file of your own prompts, one JSON object a line, needs the ending .jsonl.",
            exit_code=ExitCode.INVALID,
        ) from None


def _first_turns(entry: Any) -> tuple[str, str] | None:
    turns = entry.get("conversations") or entry.get("conversation") or []
    if len(turns) < 2:
        return None
    question, answer = turns[0]["value"], turns[1]["value"]
    return (question, answer) if isinstance(question, str) and isinstance(answer, str) else None
