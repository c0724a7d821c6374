"""What is unusual about a checkpoint: one small check for each thing that has puzzled people before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baichuan_cli.catalog.architecture import says_alibi_by_shape, says_context_length
from baichuan_cli.catalog.model import Model, Quantization
from baichuan_cli.catalog.oddity import Oddity
from baichuan_cli.catalog.tokenizer_files import tokenizer_oddities
from baichuan_cli.catalog.weight_files import WeightFiles

_PUBLISHED_VOCAB_SIZES = (64_000, 125_696)
_PUBLISHED_HIDDEN_SIZES = (4096, 5120)
_MOST_PADDING = 1024  # tokens by which a vocabulary may be padded over its tokenizer's


@dataclass(frozen=True, slots=True)
class Contents:
    """What was found in a folder, as far as the checks look at it."""

    folder: Path
    config: Mapping[str, Any]
    model: Model
    weights: WeightFiles
    pieces: int  # tokens in tokenizer.model
    declared_dtype: str | None  # by config.json
    declared_quantization: Quantization | None  # by the configuration files, before the tensors were asked
    title: str | None  # which of the four published shapes it is
    namesake: str | None  # the catalogue's model of the same name, where that has another shape
    filled_in: tuple[str, ...]  # what the catalogue had to supply


def find_oddities(contents: Contents) -> tuple[Oddity, ...]:
    """Return everything unusual, warnings first."""
    found = [
        *_identity(contents),
        *_vocabulary(contents),
        *_position(contents),
        *_quantization(contents),
        *_weights(contents),
        *_settings(contents),
        *tokenizer_oddities(contents.folder),
    ]
    return tuple(sorted(found, key=lambda oddity: oddity.severity != "warning"))


def _identity(contents: Contents) -> Iterator[Oddity]:
    if contents.namesake:
        yield Oddity(
            "warning",
            f"The folder is called like {contents.namesake}, but it holds a model of another shape.",
            "Make sure that this is the model you mean; bcli goes by the files.",
        )
    if contents.title is None:
        yield Oddity(
            "note",
            "Its shape is none of the four that Baichuan published.",
            "Nothing to do: bcli takes the sizes from config.json.",
        )


def _vocabulary(contents: Contents) -> Iterator[Oddity]:
    vocab_size = contents.model.architecture.vocab_size
    resized = (
        contents.model.architecture.hidden_size in _PUBLISHED_HIDDEN_SIZES and vocab_size not in _PUBLISHED_VOCAB_SIZES
    )
    if resized and contents.config.get("norm_head") is None:
        yield Oddity(
            "warning",
            f"The vocabulary of {vocab_size:,} tokens does not tell whether the head is normalised (NormHead).",
            'bcli assumes a plain head. If it was made from a Baichuan 2 model, add "norm_head": true to config.json.',
        )
    if contents.pieces < vocab_size - _MOST_PADDING:
        yield Oddity(
            "warning",
            f"tokenizer.model has {contents.pieces:,} tokens, the model {vocab_size:,}.",
            "Make sure that tokenizer.model comes from this model's own repository.",
        )


def _position(contents: Contents) -> Iterator[Oddity]:
    config, architecture = contents.config, contents.model.architecture
    rope_by_class = architecture.class_name == "BaiChuanForCausalLM" and config.get("alibi") is None
    if rope_by_class and says_alibi_by_shape(dict(config)):
        yield Oddity(
            "warning",
            "BaiChuanForCausalLM stands for rotary embeddings, but the sizes look like a model with ALiBi.",
            'Say which it is: add "alibi": true or "alibi": false to config.json.',
        )


def _quantization(contents: Contents) -> Iterator[Oddity]:
    quantization, declared = contents.model.quantization, contents.declared_quantization
    if quantization is None:
        return
    if declared and declared.group_size and declared.group_size != quantization.group_size:
        yield Oddity(
            "warning",
            f"The configuration says group size {declared.group_size}, "
            f"but the scales are those of group size {quantization.group_size}.",
            "Correct group_size in the quantization's configuration; vLLM goes by that number.",
        )
    if quantization.method == "gptq" and quantization.desc_act and quantization.group_size != -1:
        yield Oddity(
            "warning",
            "It was quantized with desc_act (activation order): newer vLLM releases refuse it, "
            "and vLLM's CPU kernels would ignore the order.",
            "A checkpoint made with desc_act=false works everywhere.",
        )
    if quantization.grouped and quantization.group_size is None:
        yield Oddity(
            "note",
            "No file says the size of the quantization groups.",
            "bcli reckons with the usual 128.",
        )


def _weights(contents: Contents) -> Iterator[Oddity]:
    if contents.model.not_loadable:
        yield Oddity(
            "warning",
            f"vLLM cannot load it: {contents.model.not_loadable}",
            "Take a GPTQ or an unquantized checkpoint instead.",
        )
    if contents.weights.format == "bin":
        yield Oddity(
            "note",
            "The weights are pickled .bin files.",
            "Nothing to do: vLLM reads them, from 0.7 on without running what a pickle may hold. "
            "The .safetensors format has no such risk and loads faster.",
        )
    elif any(contents.folder.glob("pytorch_model*.bin")):
        yield Oddity(
            "note",
            "The weights are there twice, as .safetensors and as .bin.",
            "Nothing to do: vLLM takes the .safetensors files. The .bin files may be deleted.",
        )
    if contents.declared_dtype and contents.declared_dtype != contents.model.weights_dtype:
        yield Oddity(
            "note",
            f"config.json says {contents.declared_dtype}, but the weights are {contents.model.weights_dtype}.",
            "Nothing to do: bcli goes by the weights.",
        )


def _settings(contents: Contents) -> Iterator[Oddity]:
    if "auto_map" in contents.config:
        yield Oddity(
            "note",
            "config.json asks for Python code from the folder (auto_map).",
            "Nothing to do: bcli brings its own model and tokenizer and never runs that code by itself.",
        )
    if not says_context_length(dict(contents.config)):
        yield Oddity(
            "note",
            "config.json does not say how long a text the model was trained for.",
            f"bcli reckons with {contents.model.architecture.context_length:,} tokens, as in all four models.",
        )
    if contents.filled_in:
        yield Oddity(
            "note",
            f"The files leave out: {', '.join(contents.filled_in)}.",
            "Nothing to do: bcli took them from its catalogue.",
        )
