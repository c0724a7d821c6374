"""Reading a checkpoint from a local folder: its own files say what it is; the catalogue fills what they leave out.

Nothing is loaded and nothing is executed. A folder that passes has all of its weights, whole, in the shapes that its
configuration gives, and the tokenizer that belongs to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baichuan_cli.catalog.architecture import read_architecture
from baichuan_cli.catalog.catalogue import Catalogue, load_catalogue
from baichuan_cli.catalog.json_file import damaged, read_json, read_json_if_there
from baichuan_cli.catalog.model import DTYPE_BYTES, Architecture, ChatFamily, Model, Quantization
from baichuan_cli.catalog.oddities import Contents, find_oddities
from baichuan_cli.catalog.oddity import Oddity
from baichuan_cli.catalog.quantization import group_size_of, read_quantization
from baichuan_cli.catalog.tensor_check import check_tensors
from baichuan_cli.catalog.tokenizer_files import chat_family_of, read_tokenizer_model
from baichuan_cli.catalog.weight_files import WeightFiles, find_weights
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.catalog.schema import Entry

_SAFETENSORS_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_SAMPLING_KEYS = ("do_sample", "temperature", "top_k", "top_p", "repetition_penalty", "max_new_tokens")
_PICKLED_BITSANDBYTES = (
    "its weights are bitsandbytes tensors pickled with their quantization state, a layout vLLM cannot read."
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A local checkpoint, and what is unusual about it."""

    model: Model
    weights: WeightFiles
    title: str | None  # "Baichuan2-7B", or None where the shape is none of the four published ones
    oddities: tuple[Oddity, ...]


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a folder in the Hugging Face layout.

    Raises:
        BcliError: NOT_FOUND where the folder, its configuration, its tokenizer or its weights are missing; INVALID
            where it holds another kind of model, or files that are damaged or not fully downloaded.
    """
    config_path = _config_path(folder)
    config = read_json(config_path)
    architecture = read_architecture(config, config_path)
    pieces = read_tokenizer_model(folder)
    if len(pieces) > architecture.vocab_size:
        raise damaged(
            folder / "tokenizer.model",
            f"belongs to another model: it has {len(pieces):,} tokens, the model {architecture.vocab_size:,}",
        )
    weights = find_weights(folder)
    declared = read_quantization(config, folder)
    check_tensors(weights, architecture, config_path, declared, tied=config.get("tie_word_embeddings") is True)
    generation = read_json_if_there(folder / "generation_config.json")

    catalogue = load_catalogue()
    name = folder_name(folder)
    entry, namesake = _entry_for(catalogue, name, architecture)
    declared_dtype = _declared_dtype(config)
    model = Model(
        name=name,
        architecture=architecture,
        weights_dtype=_stored_dtype(weights) or declared_dtype or _likely_dtype(weights, architecture, entry),
        weight_format=weights.format,
        weight_bytes=weights.total_bytes,
        quantization=_completed(declared, weights, architecture),
        chat_family=_chat_family(name, generation, pieces),
        generation_defaults={key: generation[key] for key in _SAMPLING_KEYS if _is_number(generation.get(key))},
        path=folder,
        not_loadable=_PICKLED_BITSANDBYTES if _is_pickled_bitsandbytes(declared, weights) else "",
    )
    model, filled_in = _filled_in(model, entry, catalogue, says_chat="user_token_id" in generation)
    title = catalogue.title_of(architecture)
    oddities = find_oddities(
        Contents(
            folder=folder,
            config=config,
            model=model,
            weights=weights,
            pieces=len(pieces),
            declared_dtype=declared_dtype,
            declared_quantization=declared,
            title=title,
            namesake=namesake,
            filled_in=filled_in,
        )
    )
    return Checkpoint(model, weights, title, oddities)


def folder_name(folder: Path) -> str:
    """Return what a person calls a folder; in the Hugging Face cache that is the repository's name, not the commit."""
    resolved = folder.absolute()
    if resolved.parent.name == "snapshots":
        return resolved.parent.parent.name.rpartition("--")[2]
    return resolved.name


def _config_path(folder: Path) -> Path:
    if not folder.exists():
        raise BcliError(
            f"There is no folder {folder}.",
            hint="Check the path. Models that bcli knows by name: bcli models list",
            exit_code=ExitCode.NOT_FOUND,
        )
    if not folder.is_dir():
        raise BcliError(
            f"{folder} is a file, not a model's folder.",
            hint=f"Give the folder that holds config.json, perhaps {folder.parent}",
            exit_code=ExitCode.INVALID,
        )
    path = folder / "config.json"
    if path.exists():
        return path
    if (folder / "adapter_config.json").exists():
        raise BcliError(
            f"{folder} holds a LoRA adapter, not a model.",
            hint="Give the model that the adapter was trained on.",
            exit_code=ExitCode.INVALID,
        )
    raise BcliError(
        f"There is no config.json in {folder}, so it is no model's folder, or its download is not finished.",
        hint="Give the folder that holds config.json.",
        exit_code=ExitCode.NOT_FOUND,
    )


def _entry_for(catalogue: Catalogue, name: str, architecture: Architecture) -> tuple[Entry | None, str | None]:
    """Return the catalogue's entry of the same name and shape; or else the name of one that shares the name only."""
    for entry in catalogue.entries:
        if name.lower() in entry.aliases:
            same_shape = catalogue.architectures[entry.architecture] == architecture
            return (entry, None) if same_shape else (None, entry.name)
    return None, None


def _stored_dtype(weights: WeightFiles) -> str | None:
    embedding = weights.tensors.get("model.embed_tokens.weight")
    return _SAFETENSORS_DTYPES.get(embedding.dtype) if embedding else None


def _declared_dtype(config: Mapping[str, Any]) -> str | None:
    declared = config.get("torch_dtype") or config.get("dtype")  # the second since transformers 5
    name = declared.removeprefix("torch.") if isinstance(declared, str) else ""
    return name if name in DTYPE_BYTES else None


def _likely_dtype(weights: WeightFiles, architecture: Architecture, entry: Entry | None) -> str:
    if entry:
        return entry.weights.dtype
    return "float32" if weights.total_bytes > 3 * architecture.parameters else "float16"


def _completed(declared: Quantization | None, weights: WeightFiles, architecture: Architecture) -> Quantization | None:
    """Return the quantization with the group size that the tensors really have, where they show it."""
    if declared is None or not declared.grouped:
        return declared
    return replace(declared, group_size=group_size_of(weights.tensors, architecture) or declared.group_size)


def _is_pickled_bitsandbytes(quantization: Quantization | None, weights: WeightFiles) -> bool:
    return quantization is not None and quantization.method == "bitsandbytes" and weights.format == "bin"


def _chat_family(name: str, generation: Mapping[str, Any], pieces: tuple[str, ...]) -> ChatFamily | None:
    """Return the chat format: by the tokenizer's role tokens, for a model that says that it is meant for chat."""
    meant_for_chat = "user_token_id" in generation or "chat" in name.lower()
    return chat_family_of(pieces) if meant_for_chat else None


def _is_number(value: object) -> bool:
    return isinstance(value, (bool, int, float))


def _filled_in(
    model: Model, entry: Entry | None, catalogue: Catalogue, *, says_chat: bool
) -> tuple[Model, tuple[str, ...]]:
    """Take from the catalogue what the files leave out, and name it."""
    if entry is None:
        return model, ()
    known = catalogue.model(entry)
    filled_in = []
    if not says_chat and model.chat_family != known.chat_family:
        model = replace(model, chat_family=known.chat_family)
        filled_in.append("the chat format")
    if not model.generation_defaults and known.generation_defaults:
        model = replace(model, generation_defaults=known.generation_defaults)
        filled_in.append("the sampling defaults")
    if (found := model.quantization) and (wanted := known.quantization) and found.method == wanted.method:
        completed = replace(
            found,
            bits=found.bits or wanted.bits,
            group_size=found.group_size or wanted.group_size,
            desc_act=wanted.desc_act if found.desc_act is None else found.desc_act,
        )
        if completed != found:
            model = replace(model, quantization=completed)
            filled_in.append("how it is quantized")
    return model, tuple(filled_in)
