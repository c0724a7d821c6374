"""A LoRA adapter on every projection of a small checkpoint, in PEFT's files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

RANK = 8
ALPHA = 16


def write_adapter(folder: Path, weights: Mapping[str, Tensor], seed: int = 1) -> dict[str, Tensor]:
    """Write a random adapter for all linear layers; return the weights with it merged."""
    generator = torch.Generator().manual_seed(seed)
    merged, tensors = dict(weights), {}
    for name, weight in weights.items():
        if "_proj." in name or ".W_pack." in name:
            down = torch.randn(RANK, weight.shape[1], generator=generator) * weight.shape[1] ** -0.5
            up = torch.randn(weight.shape[0], RANK, generator=generator) * 0.1
            merged[name] = weight + ALPHA / RANK * up @ down
            module = "base_model.model." + name.removesuffix(".weight")
            tensors |= {f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up}
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    targets = ["W_pack", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": ALPHA, "target_modules": targets}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return merged
