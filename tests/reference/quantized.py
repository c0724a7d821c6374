"""Quantize a small checkpoint by hand: to 4 bits in the three layouts that vLLM reads, and to fp8 as vLLM does.

Plain rounding, written from the layouts alone: [out, in] weights become 4-bit codes with one scale (and for AWQ one
zero point) per row and group. Each function returns the stored tensors and what they mean in float32. For fp8
nothing is stored: vLLM rounds a 16-bit checkpoint while it loads it, with one scale a layer.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from baichuan_cli.demo import demo_path

GROUP_SIZE = 128
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # code i of eight neighbours lies at this place

Quantizer = Callable[[Tensor], tuple[dict[str, Tensor], Tensor]]

GPTQ_CONFIG: dict[str, Any] = {
    "quant_method": "gptq",
    "bits": 4,
    "group_size": GROUP_SIZE,
    "desc_act": False,
    "sym": True,
}
AWQ_CONFIG: dict[str, Any] = {
    "quant_method": "awq",
    "bits": 4,
    "group_size": GROUP_SIZE,
    "zero_point": True,
    "version": "gemm",
}
COMPRESSED_TENSORS_CONFIG: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {
                "num_bits": 4,
                "type": "int",
                "symmetric": True,
                "strategy": "group",
                "group_size": GROUP_SIZE,
            },
        }
    },
    "ignore": ["lm_head"],
}


def quantize_linears(
    weights: Mapping[str, Tensor], quantizer: Quantizer
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Quantize every linear layer of the blocks; return the checkpoint's tensors and the dequantized weights."""
    stored, meant = {}, {}
    for name, weight in weights.items():
        if "_proj." in name or ".W_pack." in name:
            packed, meant[name] = quantizer(weight)
            stored |= {name.removesuffix("weight") + part: tensor for part, tensor in packed.items()}
        else:
            stored[name] = meant[name] = weight.to(torch.float16).to(torch.float32)
    return stored, meant


def quantize_demo(folder: Path) -> Path:
    """Write the demo model as a GPTQ checkpoint of 4 bits in groups of 128, in a new folder."""
    weights = {name: tensor.float() for name, tensor in load_file(demo_path("demo") / "model.safetensors").items()}
    stored, _ = quantize_linears(weights, gptq)
    halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}
    tensors = {name: tensor.contiguous() for name, tensor in halved.items()}
    shutil.copytree(demo_path("demo"), folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config |= {"torch_dtype": "float16", "quantization_config": GPTQ_CONFIG}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def gptq(weight: Tensor, group_size: int = GROUP_SIZE) -> tuple[dict[str, Tensor], Tensor]:
    """Symmetric codes packed along the input, zero points stored minus one, as AutoGPTQ writes them."""
    codes, scales, meant = _symmetric(weight, group_size)
    rows, groups = scales.shape
    packed = {
        "qweight": _pack(codes.T.reshape(-1, 8, rows), dim=1),
        "qzeros": torch.full((groups, rows // 8), 0x77777777, dtype=torch.int32),
        "scales": scales.T.to(torch.float16),
        "g_idx": (torch.arange(weight.shape[1]) // group_size).to(torch.int32),
    }
    return packed, meant


def awq(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Asymmetric codes packed along the output in AWQ's interleaved order."""
    grouped = weight.unflatten(1, (-1, GROUP_SIZE))
    low, high = grouped.amin(-1).clamp(max=0), grouped.amax(-1).clamp(min=0)
    scales = ((high - low) / 15).to(torch.float16).to(torch.float32)
    zeros = (-low / scales).round()
    codes = ((grouped / scales[..., None]).round() + zeros[..., None]).clamp(0, 15)
    meant = ((codes - zeros[..., None]) * scales[..., None]).flatten(1)

    def interleaved(rows: Tensor) -> Tensor:
        return _pack(rows.T.unflatten(1, (-1, 8))[..., list(_AWQ_ORDER)], dim=-1)

    packed = {
        "qweight": interleaved(codes.flatten(1)),
        "qzeros": interleaved(zeros),
        "scales": scales.T.to(torch.float16),
    }
    return packed, meant


def compressed_tensors(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Symmetric codes packed along the input, [out, in / 8]."""
    codes, scales, meant = _symmetric(weight)
    packed = {
        "weight_packed": _pack(codes.unflatten(1, (-1, 8)), dim=-1),
        "weight_scale": scales.to(torch.float16),
        "weight_shape": torch.tensor(weight.shape, dtype=torch.int64),
    }
    return packed, meant


def fp8_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what the linear layers of the blocks mean after vLLM has rounded them to fp8 (e4m3)."""
    meant = dict(weights)
    for name, weight in weights.items():
        if name.endswith((".W_pack.weight", ".o_proj.weight", ".down_proj.weight")):
            [meant[name]] = _fp8_as_one(weight)
        elif name.endswith(".gate_proj.weight"):
            other = name.replace(".gate_proj.", ".up_proj.")
            meant[name], meant[other] = _fp8_as_one(weight, weights[other])  # vLLM has them in one layer
    return meant


def _fp8_as_one(*parts: Tensor) -> tuple[Tensor, ...]:
    stored = torch.cat(parts).to(torch.bfloat16).float()
    return _fp8(stored, stored.abs().amax()).split([len(part) for part in parts])


def _fp8(x: Tensor, largest: Tensor) -> Tensor:
    scale = largest.float() / torch.finfo(torch.float8_e4m3fn).max
    return ((x / scale).to(torch.float8_e4m3fn).float() * scale).to(x.dtype)


def _symmetric(weight: Tensor, group_size: int = GROUP_SIZE) -> tuple[Tensor, Tensor, Tensor]:
    """Return codes 0..15 [out, in] around 8, scales [out, groups] and their product [out, in]."""
    grouped = weight.unflatten(1, (-1, group_size))
    scales = (grouped.abs().amax(-1) / 7).to(torch.float16).to(torch.float32)
    codes = (grouped / scales[..., None]).round().clamp(-8, 7)
    return codes.flatten(1) + 8, scales, (codes * scales[..., None]).flatten(1)


def _pack(codes: Tensor, dim: int) -> Tensor:
    """Put eight 4-bit codes along `dim` into one int32, the first in the lowest bits."""
    shifts = torch.arange(0, 32, 4).view([8 if i == dim % codes.ndim else 1 for i in range(codes.ndim)])
    words = (codes.to(torch.int64) << shifts).sum(dim)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32).contiguous()
