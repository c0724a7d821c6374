"""Ask real vLLM with real faults in it the prompts of the self-check: `python faulty_engines.py FOLDER REPLIES.json`.

Each fault is put into the plugin's classes or into the checkpoint's configuration while the engine is built; the
weights stay what they are. Engines follow one another in this one process. FOLDER is for small checkpoints.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from torch import nn

from baichuan_cli.catalog.resolve import require_local, resolve_model
from baichuan_cli.demo import demo_path
from baichuan_cli.engine.log import EngineLog
from baichuan_cli.engine.offline import OfflineEngine
from baichuan_cli.self_check.ask import ask
from baichuan_cli.self_check.judge import Reply
from baichuan_cli.self_check.probe import prompts_for
from baichuan_cli.tokenizer.load import load_tokenizer
from reference.baichuan_reference import Shape
from reference.checkpoints import random_weights, write_checkpoint

#: Nothing in its files but the field `norm_head` tells that the head is normalised.
NORM_HEAD = Shape(vocab_size=520, norm_head=True)
_LENGTHS = (5, 160)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _no_slopes() -> Iterator[None]:
    with mock.patch("baichuan_cli.vllm_plugin.attention.alibi_slopes", lambda heads: [0.0] * heads):
        yield


@contextmanager
def _no_slopes_in_prefill() -> Iterator[None]:
    """Take the slopes away whenever more tokens come than one for each prompt."""
    from baichuan_cli.vllm_plugin.attention import AlibiAttention

    right = AlibiAttention.forward

    def forward(self: Any, positions: Any, hidden_states: Any) -> Any:
        slopes = self.attn.impl.alibi_slopes
        if len(hidden_states) > len(_LENGTHS):
            self.attn.impl.alibi_slopes = None
        try:
            return right(self, positions, hidden_states)
        finally:
            self.attn.impl.alibi_slopes = slopes

    with mock.patch.object(AlibiAttention, "forward", forward):
        yield


class _Unturned(nn.Module):
    def forward(self, positions: Any, query: Any, key: Any) -> Any:
        return query, key


@contextmanager
def _no_rotation() -> Iterator[None]:
    with mock.patch("vllm.model_executor.models.llama.get_rope", lambda *args, **kwargs: _Unturned()):
        yield


@dataclass(frozen=True)
class Case:
    """An engine with a fault, or without; `cause` is what the self-check has to call it."""

    name: str
    model: str
    dtype: str
    cause: str | None
    fault: Callable[[], Any] = _nothing
    overrides: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("rope", "demo", "bfloat16", None),
    Case("rope, float32", "demo", "float32", None),
    Case("alibi", "demo-alibi", "bfloat16", None),
    Case("norm head", "norm-head", "float32", None),
    Case("rope left out", "demo", "bfloat16", "rope", _no_rotation),
    Case("alibi for rope", "demo", "bfloat16", "rope-alibi", overrides={"alibi": True}),
    Case("alibi left out", "demo-alibi", "bfloat16", "alibi", _no_slopes),
    Case("alibi left out in prefill", "demo-alibi", "bfloat16", "alibi-in-prefill", _no_slopes_in_prefill),
    Case("rope for alibi", "demo-alibi", "bfloat16", "alibi-rope", overrides={"alibi": False}),
    Case("norm head lost", "norm-head", "float32", "norm-head", overrides={"norm_head": False}),
)


def _folder(case: Case, folder: Path) -> Path:
    if case.model != "norm-head":
        return demo_path(case.model)
    return write_checkpoint(folder / case.model, NORM_HEAD, random_weights(NORM_HEAD), norm_head=True)


def _prompts(case: Case) -> Sequence[tuple[int, ...]]:
    if case.model == "norm-head":
        return [tuple(3 + place * 7 % (NORM_HEAD.vocab_size - 3) for place in range(length)) for length in _LENGTHS]
    return prompts_for(load_tokenizer(require_local(resolve_model(case.model))), 1024)


def _replies(case: Case, folder: Path) -> list[Reply]:
    arguments = {
        "model": str(_folder(case, folder)),
        "dtype": case.dtype,
        "hf_overrides": case.overrides,
        "max_model_len": 1024,
        "enforce_eager": True,
        "skip_tokenizer_init": True,
        "seed": 0,
    }
    with case.fault(), closing(OfflineEngine(arguments, {}, EngineLog(None, sys.stdout, sys.stderr))) as engine:
        return ask(engine, _prompts(case))


def main(folder: Path, replies: Path) -> None:
    """Ask every engine, and write what all of them said."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    found = {}
    for case in CASES:
        found[case.name] = [
            {
                "prompt": reply.prompt,
                "answer": reply.answer,
                "told": [[row, token, round(value, 4)] for row, token, value in reply.told],
            }
            for reply in _replies(case, folder)
        ]
        gc.collect()
    replies.write_text(json.dumps(found, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
