"""The files with which plain transformers and vLLM load the exact fast tokenizer, without remote code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baichuan_cli.catalog.special_tokens import JsonPath
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.tokenizer.json_edit import ABSENT

_CLASS = "PreTrainedTokenizerFast"


def fast_tokenizer_json(folder: Path) -> bytes:
    """Return the `tokenizer.json` of a checkpoint, built from its `tokenizer.model`.

    Its merges are written as `"a b"`, not as `["a", "b"]`: tokenizers 0.19 (transformers 4.41) reads only the first,
    later releases read both, and no piece of SentencePiece holds a plain space.

    Raises:
        BcliError: `tokenizer.model` is missing or damaged, or the checkpoint adds tokens to it.
    """
    from baichuan_cli.vllm_plugin.fast_tokenizer import build_fast_tokenizer

    path = folder / "tokenizer.model"
    if not path.is_file():
        raise _impossible(f"there is no tokenizer.model in {folder}", ExitCode.NOT_FOUND)
    if (folder / "added_tokens.json").exists():
        raise _impossible("added_tokens.json adds tokens to those of tokenizer.model")
    try:
        content = json.loads(build_fast_tokenizer(path).to_str())
    except ValueError as error:
        raise _impossible(str(error).rstrip(".")) from None
    merges = content["model"]["merges"]
    content["model"]["merges"] = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def fast_settings(config: Mapping[str, Any]) -> dict[JsonPath, Any]:
    """Return what has to change in `tokenizer_config.json` for `tokenizer.json` to be loaded.

    Raises:
        BcliError: the checkpoint wants a token added to each text, which transformers 4 does only in Python.
    """
    for name in ("add_bos_token", "add_eos_token"):
        if config.get(name):
            raise _impossible(f"tokenizer_config.json has {name}: true")
    wanted: dict[str, Any] = {"tokenizer_class": _CLASS}
    if "model_input_names" not in config:
        wanted["model_input_names"] = ["input_ids", "attention_mask"]  # by default there is one more
    changes: dict[JsonPath, Any] = {(key,): value for key, value in wanted.items() if config.get(key) != value}
    if "auto_map" in config:
        changes["auto_map",] = ABSENT
    return changes


def _impossible(reason: str, exit_code: ExitCode = ExitCode.INVALID) -> BcliError:
    return BcliError(
        f"No exact tokenizer.json can be written: {reason}.",
        hint="Without --fast, bcli patch-tokenizer repairs tokenization_baichuan.py.",
        exit_code=exit_code,
    )
