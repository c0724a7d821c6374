"""A random Baichuan checkpoint of 285M parameters, made on the spot: all files that an engine reads, and no meaning.

Its tokenizer has a piece for each of 64,000 characters and no merges, so text and ids turn into each other exactly,
whichever random tokens a prompt or an answer has.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from cpu_profile import CONFIG

from baichuan_cli.demo import demo_path

#: Blocks of assigned characters that text normalisation leaves alone: Han, Hangul, and Han of extensions A and B.
_CHARACTERS = (range(0x4E00, 0x9FA6), range(0xAC00, 0xD7A4), range(0x3400, 0x4DB6), range(0x20000, 0x2A6D7))
_NORMAL = 1  # SentencePiece's type of an ordinary piece


def write_checkpoint(folder: Path) -> None:
    """Write configuration, tokenizer and bfloat16 weights into an empty folder."""
    import torch
    from safetensors.torch import save_file

    (folder / "config.json").write_text(json.dumps(CONFIG))
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        shutil.copy(demo_path("demo") / name, folder / name)
    (folder / "tokenizer.model").write_bytes(_tokenizer())
    generator = torch.Generator().manual_seed(5)
    weights = {
        name: torch.ones(shape, dtype=torch.bfloat16)
        if len(shape) == 1
        else torch.randn(shape, generator=generator, dtype=torch.bfloat16).mul_(0.02)
        for name, shape in _shapes()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def llama_layout(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the checkpoint as a Llama's: its configuration and its weights, with `W_pack` in three."""
    from safetensors.torch import load_file

    hidden = CONFIG["hidden_size"]
    weights = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if "W_pack" not in name:
            weights[name] = tensor
            continue
        for part, rows in zip(("q_proj", "k_proj", "v_proj"), tensor.split(hidden), strict=True):
            weights[name.replace("W_pack", part)] = rows.contiguous()
    config = {**CONFIG, "architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    return config, weights


def _shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, inner, vocabulary = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["vocab_size"]
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for layer in range(CONFIG["num_hidden_layers"]):
        block = f"model.layers.{layer}"
        yield f"{block}.input_layernorm.weight", (hidden,)
        yield f"{block}.self_attn.W_pack.weight", (3 * hidden, hidden)
        yield f"{block}.self_attn.o_proj.weight", (hidden, hidden)
        yield f"{block}.post_attention_layernorm.weight", (hidden,)
        yield f"{block}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{block}.mlp.up_proj.weight", (inner, hidden)
        yield f"{block}.mlp.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (vocabulary, hidden)


def _tokenizer() -> bytes:
    """Return a SentencePiece model: the demo's special tokens, bytes and settings, then single characters."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    demo = ModelProto()
    demo.ParseFromString((demo_path("demo") / "tokenizer.model").read_bytes())
    made = ModelProto()
    made.CopyFrom(demo)
    del made.pieces[:]
    made.pieces.extend(piece for piece in demo.pieces if piece.type != _NORMAL)
    missing = CONFIG["vocab_size"] - len(made.pieces)
    for number, code in enumerate(islice(chain(*_CHARACTERS), missing)):
        made.pieces.add(piece=chr(code), score=-float(number), type=_NORMAL)
    made.trainer_spec.vocab_size = len(made.pieces)
    return made.SerializeToString()
