"""Prompts of random tokens: every one different, and exactly as long as asked for.

They are sent as token ids, so no tokenizer can make them longer or shorter, and no two share a prefix that a cache
could answer from.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.bench.record import Value
from baichuan_cli.bench.workload import Prompt
from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from baichuan_cli.catalog.model import Architecture
    from baichuan_cli.tokenizer.load import Tokenizer

#: Special, reserved and byte tokens of the published vocabularies lie outside: Baichuan's are below 1,000, and the
#: reserved ones of Baichuan 2 above 60,000.
_PUBLISHED_IDS = range(1_000, 60_000)


class RandomPrompts:
    """Prompts of `input_len` tokens, each answered with `output_len`."""

    uniform = True
    nominal = False

    def __init__(
        self,
        token_ids: Sequence[int],
        input_len: int,
        output_len: int,
        tokenizer: Tokenizer | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.shape: Mapping[str, Value] = {"dataset": "random", "input_len": input_len, "output_len": output_len}
        self._token_ids, self._tokenizer = token_ids, tokenizer
        self._input_len, self._output_len, self._seed = input_len, output_len, seed

    def draw(self, count: int, turn: int) -> tuple[Prompt, ...]:
        """Return prompts of which no two are the same, drawn by the seed and the turn.

        Raises:
            BcliError: there are not so many different prompts of this length.
        """
        possible = len(self._token_ids) ** self._input_len if self._input_len < 4 else count
        if possible < count:
            raise BcliError(f"There are only {possible} different prompts of {self._input_len} tokens.")
        draw = random.Random(f"{self._seed}/{turn}")
        unique: dict[tuple[int, ...], None] = {}
        while len(unique) < count:
            unique[tuple(draw.choices(self._token_ids, k=self._input_len))] = None
        return tuple(Prompt(ids, self._output_len, text=self._text(ids)) for ids in unique)

    def _text(self, ids: tuple[int, ...]) -> str | None:
        return None if self._tokenizer is None else self._tokenizer.decode(ids)


def plain_token_ids(folder: Path) -> list[int]:
    """Return the ids of a checkpoint's ordinary pieces: no special, reserved or byte tokens.

    Raises:
        BcliError: the folder has no usable tokenizer.model.
    """
    from baichuan_cli.catalog.tokenizer_files import find_tokenizer_model
    from baichuan_cli.vllm_plugin.sentencepiece_model import NORMAL, read_proto

    proto = read_proto(find_tokenizer_model(folder))
    return [index for index, piece in enumerate(proto.pieces) if piece.type == NORMAL]


def published_token_ids(architecture: Architecture) -> Sequence[int]:
    """Return ids that are ordinary tokens in every published vocabulary, for a model that is not on this machine."""
    return range(_PUBLISHED_IDS.start, min(_PUBLISHED_IDS.stop, architecture.vocab_size))
