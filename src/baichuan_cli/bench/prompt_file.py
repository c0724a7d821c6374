"""A person's own prompts: a JSONL file in the format of `bcli generate --input`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.batch.prompts import read_batch
from baichuan_cli.bench.record import Value
from baichuan_cli.bench.workload import Prompt
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.batch.encode import Encoder

#: What each line may set that a benchmark decides for all of them.
_DECIDED = ("max_tokens", "min_tokens", "ignore_eos", "n", "logprobs")


class PromptFile:
    """The prompts of a file, in its order.

    Raises:
        BcliError: the file cannot be read, or a line of it cannot be answered.
    """

    uniform = False
    nominal = False

    def __init__(self, path: Path, encoder: Encoder, output_len: int | None) -> None:
        self.shape: Mapping[str, Value] = {"dataset": "jsonl", "file": path.name, "output_len": output_len}
        self._path = path
        batch = read_batch(path)
        if batch.bad_lines:
            bad = batch.bad_lines[0]
            raise BcliError(f"{path}, line {bad.line}: {bad.reason}", exit_code=ExitCode.INVALID)
        self._prompts = []
        for item in batch.items:
            wanted = output_len or item.sampling.get("max_tokens", encoder.max_tokens)
            assert isinstance(wanted, int)
            sampling = {name: value for name, value in item.sampling.items() if name not in _DECIDED}
            text = item.prompt if isinstance(item.prompt, str) else None
            ids = encoder.encode(item).prompt_token_ids
            self._prompts.append(Prompt(ids, wanted, text=text, messages=item.messages, sampling=sampling))

    def draw(self, count: int, turn: int) -> tuple[Prompt, ...]:
        """Return the first prompts of the file.

        Raises:
            BcliError: the file has not so many.
        """
        if count > len(self._prompts):
            raise BcliError(
                f"{self._path} has {len(self._prompts)} prompts, not {count}.",
                hint=f"Use --num-prompts {len(self._prompts)}.",
            )
        return tuple(self._prompts[:count])

    def __len__(self) -> int:
        return len(self._prompts)
