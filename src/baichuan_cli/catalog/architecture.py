"""Reading the shape of a Baichuan model from its `config.json`, in any of the four layouts in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from baichuan_cli.catalog.json_file import damaged
from baichuan_cli.catalog.model import Architecture, PositionEmbedding
from baichuan_cli.errors import BcliError, ExitCode

_CLASSES = ("BaiChuanForCausalLM", "BaichuanForCausalLM")
_USUAL_CONTEXT_LENGTH = 4096
_CONTEXT_KEYS = ("max_position_embeddings", "model_max_length")  # the 13B files have the second only
_ALIBI_HIDDEN_SIZE = 5120  # both 13B models
_NORM_HEAD_VOCAB_SIZE = 125_696  # both Baichuan 2 models


def read_architecture(config: dict[str, Any], path: Path) -> Architecture:
    """Return the shape that a `config.json` describes.

    Explicit `alibi` and `norm_head` fields win. Without them ALiBi shows in an absent `max_position_embeddings` or a
    hidden size of 5120, and NormHead in a vocabulary of 125,696 tokens; `BaiChuanForCausalLM` always means RoPE.

    Args:
        config: the content of the file.
        path: where it was read, for messages.

    Raises:
        BcliError: it is no Baichuan, or a size is missing or makes no sense.
    """
    class_name = _class_name(config, path)
    hidden_size = _size(config, path, "hidden_size")
    heads = _size(config, path, "num_attention_heads")
    if hidden_size % heads:
        raise damaged(path, f"makes no sense: hidden_size {hidden_size} is no multiple of {heads} heads")
    vocab_size = _size(config, path, "vocab_size")
    return Architecture(
        class_name=class_name,
        hidden_size=hidden_size,
        intermediate_size=_size(config, path, "intermediate_size"),
        num_hidden_layers=_size(config, path, "num_hidden_layers"),
        num_attention_heads=heads,
        vocab_size=vocab_size,
        position_embedding=_position_embedding(config, path, class_name),
        norm_head=_flag(config, path, "norm_head", default=vocab_size == _NORM_HEAD_VOCAB_SIZE),
        context_length=_context_length(config, path),
    )


def says_context_length(config: dict[str, Any]) -> bool:
    """Tell whether a `config.json` says how many tokens the model was trained for."""
    return any(config.get(key) is not None for key in _CONTEXT_KEYS)


def says_alibi_by_shape(config: dict[str, Any]) -> bool:
    """Tell whether the sizes alone look like a 13B model's, whatever the class is called."""
    return config.get("max_position_embeddings") is None or config.get("hidden_size") == _ALIBI_HIDDEN_SIZE


def _class_name(config: dict[str, Any], path: Path) -> str:
    listed = config.get("architectures") or []
    classes = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    for name in classes:
        if name in _CLASSES:
            return name
    model_type = config.get("model_type")
    if model_type == "baichuan" and not classes:
        return "BaichuanForCausalLM"
    if model_type is None and not classes:
        raise damaged(path, "does not say what the model is: it has neither model_type nor architectures")
    raise BcliError(
        f"{path.parent} is no Baichuan language model: its config.json says "
        f"{' '.join([repr(model_type), *(f'({name})' for name in classes[:1])])}.",
        hint="bcli runs the Baichuan models only. See them with: bcli models list",
        exit_code=ExitCode.INVALID,
    )


def _position_embedding(config: dict[str, Any], path: Path, class_name: str) -> PositionEmbedding:
    by_default = class_name != "BaiChuanForCausalLM" and says_alibi_by_shape(config)
    return "alibi" if _flag(config, path, "alibi", default=by_default) else "rope"


def _context_length(config: dict[str, Any], path: Path) -> int:
    for key in _CONTEXT_KEYS:
        if config.get(key) is not None:
            return _size(config, path, key)
    return _USUAL_CONTEXT_LENGTH


def _size(config: dict[str, Any], path: Path, key: str) -> int:
    value = config.get(key)
    if value is None:
        raise damaged(path, f"is incomplete: it has no {key}")
    if type(value) is not int or value <= 0:
        raise damaged(path, f"makes no sense: {key} is {value!r}")
    return value


def _flag(config: dict[str, Any], path: Path, key: str, *, default: bool) -> bool:
    value = config.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise damaged(path, f"makes no sense: {key} is {value!r}, neither true nor false")
    return value
