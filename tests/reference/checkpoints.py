"""Small random Baichuan checkpoints on disk, in the layouts of the published ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from reference.baichuan_reference import Shape


def random_weights(shape: Shape, seed: int = 0) -> dict[str, Tensor]:
    """Draw float32 weights large enough that the next token is seldom a near tie."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator) * (1.5 / size[-1] ** 0.5)

    hidden, wide = shape.hidden_size, shape.intermediate_size
    weights = {"model.embed_tokens.weight": draw(shape.vocab_size, hidden) * hidden**0.5}
    for layer in range(shape.layers):
        p = f"model.layers.{layer}."
        weights[p + "self_attn.W_pack.weight"] = draw(3 * hidden, hidden)
        weights[p + "self_attn.o_proj.weight"] = draw(hidden, hidden)
        weights[p + "mlp.gate_proj.weight"] = draw(wide, hidden)
        weights[p + "mlp.up_proj.weight"] = draw(wide, hidden)
        weights[p + "mlp.down_proj.weight"] = draw(hidden, wide)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            weights[p + norm + ".weight"] = 1 + draw(hidden)
    weights["model.norm.weight"] = 1 + draw(hidden)
    # Rows of very different lengths show whether a head is normalised.
    weights["lm_head.weight"] = draw(shape.vocab_size, hidden) * (
        0.5 + torch.rand(shape.vocab_size, 1, generator=generator)
    )
    if shape.norm_head:
        weights["model.norm.weight"] *= 8  # unit rows alone would make every token nearly as likely
    return weights


def config_of(shape: Shape, **extra: Any) -> dict[str, Any]:
    """Return a config.json as published: neither ALiBi nor NormHead is named in it."""
    config: dict[str, Any] = {
        "architectures": ["BaichuanForCausalLM" if shape.alibi or shape.norm_head else "BaiChuanForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_baichuan.BaichuanConfig",
            "AutoModelForCausalLM": "modeling_baichuan.BaichuanForCausalLM",
        },
        "model_type": "baichuan",
        "tokenizer_class": "BaichuanTokenizer",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate_size,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": shape.vocab_size,
    }
    config["model_max_length" if shape.alibi else "max_position_embeddings"] = 1024
    return config | extra


def write_checkpoint(
    folder: Path, shape: Shape, weights: Mapping[str, Tensor], *, as_bin: bool = False, **extra: Any
) -> Path:
    """Write config and weights; `.bin` files get the rotary tables that Baichuan-7B's carry."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_of(shape, **extra)))
    tensors = {name: tensor.contiguous() for name, tensor in weights.items()}
    if as_bin:
        for layer in range(shape.layers):
            tensors[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.full((shape.head_size // 2,), 9.0)
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
