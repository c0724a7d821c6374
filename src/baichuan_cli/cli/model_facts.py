"""What `bcli models` says about a model: the same facts as rows for a person and as an object for a program."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from baichuan_cli.catalog.memory import kv_bytes_per_token, kv_cache_bytes, weight_memory_bytes
from baichuan_cli.catalog.model import Model, Quantization
from baichuan_cli.catalog.parallel import tensor_parallel_sizes
from baichuan_cli.sizes import gibibytes, gigabytes

_SHORT = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_POSITIONS = {"rope": "rotary (RoPE)", "alibi": "ALiBi"}


def rows(model: Model, title: str) -> list[tuple[str, str]]:
    """Return names and values for a person; `title` says in a few words what kind of model it is."""
    shape = model.architecture
    return [
        ("model", f"{title}, {count(shape.parameters)} parameters, {shape.class_name}"),
        (
            "shape",
            f"{shape.num_hidden_layers} layers, {shape.num_attention_heads} heads of {shape.head_size}, "
            f"hidden {shape.hidden_size}, MLP {shape.intermediate_size}, vocabulary {shape.vocab_size:,}",
        ),
        ("position", f"{_POSITIONS[shape.position_embedding]}, trained for {shape.context_length:,} tokens"),
        ("head", "normalised (NormHead)" if shape.norm_head else "plain"),
        ("weights", f"{model.weight_format}, {model.weights_dtype}, {gigabytes(model.weight_bytes)}"),
        ("quantization", quantization_text(model.quantization)),
        ("chat", model.chat_family or "none"),
        *([("sampling", _sampling(model))] if model.generation_defaults else []),
        *([("vLLM", f"cannot load it: {model.not_loadable}")] if model.not_loadable else _needs(model)),
    ]


def as_json(model: Model, folder: Path | None) -> dict[str, Any]:
    """Return the same facts for a program; sizes in bytes, `folder` is where the model lies."""
    shape = model.architecture
    return {
        "name": model.name,
        "architecture": asdict(shape),
        "parameters": shape.parameters,
        "weights": {"format": model.weight_format, "dtype": model.weights_dtype, "bytes": model.weight_bytes},
        "quantization": asdict(model.quantization) if model.quantization else None,
        "chat_family": model.chat_family,
        "generation_defaults": dict(model.generation_defaults),
        "memory": {
            "weight_bytes_16_bit": weight_memory_bytes(model, "float16"),
            "weight_bytes_float32": None if model.quantization else weight_memory_bytes(model, "float32"),
            "kv_bytes_per_token_16_bit": kv_bytes_per_token(shape, "float16"),
        },
        "tensor_parallel_sizes": [] if model.not_loadable else list(tensor_parallel_sizes(model)),
        "not_loadable": model.not_loadable or None,
        "path": str(folder) if folder else None,
        "facts_from": model.facts_from,
    }


def format_text(model: Model) -> str:
    """Return the format in a word or two: what is special about the weights, or else how they are stored."""
    if model.not_loadable:
        return "not for vLLM"
    if model.quantization is None:
        return f"{model.weight_format} {_SHORT[model.weights_dtype]}"
    group_size = model.quantization.group_size
    return f"{model.quantization.method} {model.quantization.bits}-bit" + (f" g{group_size}" if group_size else "")


def quantization_text(quantization: Quantization | None) -> str:
    """Return how the weights are quantized, with what is not known named."""
    if quantization is None:
        return "none"
    parts = [f"{quantization.method} {quantization.bits}-bit" if quantization.bits else quantization.method]
    if quantization.grouped:
        match quantization.group_size:
            case None:
                parts.append("group size unknown")
            case -1:
                parts.append("one group a row")
            case size:
                parts.append(f"groups of {size}")
    if quantization.method == "gptq":
        known = {True: "desc_act true", False: "desc_act false", None: "desc_act unknown"}
        parts.append(known[quantization.desc_act])
    return ", ".join(parts)


def count(number: int) -> str:
    """Return a large number as people say it."""
    if number < 1e6:
        return f"{number:,}"
    return f"{number / 1e9:.2f} billion" if number >= 1e8 else f"{number / 1e6:.1f} million"


def _sampling(model: Model) -> str:
    return ", ".join(f"{key} {_plain(value)}" for key, value in model.generation_defaults.items())


def _plain(value: float | int | bool) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _needs(model: Model) -> list[tuple[str, str]]:
    shape = model.architecture
    weights = gibibytes(weight_memory_bytes(model, "float16"))
    full = gibibytes(kv_cache_bytes(shape, shape.context_length, "float16"))
    if model.quantization is None:
        weights += f" in 16 bits, {gibibytes(weight_memory_bytes(model, 'float32'))} in float32"
    return [
        ("weights need", weights),
        (
            "KV cache needs",
            f"{kv_bytes_per_token(shape, 'float16') / 1024:g} KiB a token, {full} for {shape.context_length:,} tokens",
        ),
        ("tensor parallel", _cards(model)),
    ]


def _cards(model: Model) -> str:
    sizes = [str(size) for size in tensor_parallel_sizes(model)]
    if not sizes:
        return "none: its quantization groups do not fill its layers"
    text = "1 card only" if sizes == ["1"] else f"{', '.join(sizes[:-1])} or {sizes[-1]} cards"
    assumed = model.quantization and model.quantization.group_size is None
    return text + (", if the group size is 128" if assumed else "")
