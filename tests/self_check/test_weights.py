"""Reading weights piece by piece: whatever they are stored as, the pass gets the matrices that they mean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baichuan_cli.catalog.model import Architecture, Model, Quantization
from baichuan_cli.errors import BcliError
from baichuan_cli.self_check.forward import Packing, Shape
from baichuan_cli.self_check.rounding import EXACT, Rounding
from baichuan_cli.self_check.weights import open_weights, shape_of
from reference import baichuan_reference, quantized
from reference.checkpoints import random_weights, write_checkpoint

SIZES = baichuan_reference.Shape(hidden_size=256, intermediate_size=384, heads=4, layers=1, vocab_size=64)
WEIGHTS = random_weights(SIZES)
LINEAR = [name.removesuffix(".weight") for name in WEIGHTS if "_proj." in name or "W_pack" in name]
DOWN = "model.layers.0.mlp.down_proj"
METHODS = {
    "gptq": (quantized.gptq, quantized.GPTQ_CONFIG, Quantization("gptq", 4, 128, False)),
    "awq": (quantized.awq, quantized.AWQ_CONFIG, Quantization("awq", 4, 128)),
    "compressed-tensors": (
        quantized.compressed_tensors,
        quantized.COMPRESSED_TENSORS_CONFIG,
        Quantization("compressed-tensors", 4, 128),
    ),
}


def _model(folder: Path, quantization: Quantization | None = None) -> Model:
    sizes = Architecture("BaiChuanForCausalLM", 256, 384, 1, 4, 64, "rope", False, 1024)
    return Model("small", sizes, "float32", "safetensors", 0, quantization, path=folder)


def _quantized(folder: Path, method: str) -> tuple[Model, dict[str, Tensor]]:
    quantizer, config, quantization = METHODS[method]
    stored, meant = quantized.quantize_linears(WEIGHTS, quantizer)
    return _model(write_checkpoint(folder, SIZES, stored, quantization_config=config), quantization), meant


@pytest.mark.parametrize("as_bin", [False, True])
def test_plain_weights(tmp_path: Path, as_bin: bool) -> None:
    weights = open_weights(_model(write_checkpoint(tmp_path, SIZES, WEIGHTS, as_bin=as_bin)))
    for name in LINEAR:
        assert torch.equal(weights.linear(name, "as stored", 1, EXACT), WEIGHTS[f"{name}.weight"])
    assert torch.equal(weights.vector("model.norm.weight"), WEIGHTS["model.norm.weight"])
    assert torch.equal(weights.embedding([5, 63, 5]), WEIGHTS["model.embed_tokens.weight"][[5, 63, 5]])
    assert torch.equal(weights.head(10, 20), WEIGHTS["lm_head.weight"][10:20])


def test_a_tied_head_is_the_embedding(tmp_path: Path) -> None:
    tied = {name: tensor for name, tensor in WEIGHTS.items() if name != "lm_head.weight"}
    weights = open_weights(_model(write_checkpoint(tmp_path, SIZES, tied, tie_word_embeddings=True)))
    assert torch.equal(weights.head(0, 64), WEIGHTS["model.embed_tokens.weight"])


@pytest.mark.parametrize("method", METHODS)
def test_packed_weights_are_what_they_mean(tmp_path: Path, method: str) -> None:
    model, meant = _quantized(tmp_path, method)
    weights = open_weights(model)
    for name in LINEAR:
        torch.testing.assert_close(
            weights.linear(name, "as stored", 1, EXACT), meant[f"{name}.weight"], rtol=1e-6, atol=1e-6
        )


def test_the_scales_of_packed_weights_are_rounded_before_they_are_used(tmp_path: Path) -> None:
    model, _ = _quantized(tmp_path, "gptq")
    weights, scales = open_weights(model), _scales(model)
    codes = weights.linear(DOWN, "as stored", 1, EXACT) / scales.repeat_interleave(128, dim=1)
    bfloat16 = scales.to(torch.bfloat16).float().repeat_interleave(128, dim=1)
    found = weights.linear(DOWN, "as stored", 1, Rounding("bfloat16"))
    assert torch.equal(found, (codes.round() * bfloat16).to(torch.bfloat16).float())


def test_gptq_follows_the_activation_order(tmp_path: Path) -> None:
    stored, meant = quantized.quantize_linears(WEIGHTS, quantized.gptq)
    order = torch.randperm(384, generator=torch.Generator().manual_seed(0))
    codes = _codes(stored[f"{DOWN}.qweight"])[order]
    stored[f"{DOWN}.qweight"] = quantized._pack(codes.reshape(-1, 8, 256), dim=1)
    stored[f"{DOWN}.g_idx"] = (order // 128).to(torch.int32)
    weights = open_weights(_model(write_checkpoint(tmp_path, SIZES, stored), METHODS["gptq"][2]))
    torch.testing.assert_close(weights.linear(DOWN, "as stored", 1, EXACT), meant[f"{DOWN}.weight"][:, order])
    assert not torch.allclose(weights.linear(DOWN, "order ignored", 1, EXACT), meant[f"{DOWN}.weight"][:, order])


def test_zero_points_off_by_one_move_every_weight_by_its_scale(tmp_path: Path) -> None:
    model, meant = _quantized(tmp_path, "gptq")
    scales = _scales(model)
    found = open_weights(model).linear(DOWN, "zeros off by one", 1, EXACT)
    expected = meant[f"{DOWN}.weight"] + scales.repeat_interleave(128, dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("packing", "groups"),
    [
        # 384 inputs on two cards: 192 each, one and a half groups.
        ("groups cut", [0] * 192 + [1] * 192),
        ("first shard's groups", [0] * 128 + [1] * 64 + [0] * 128 + [1] * 64),
    ],
)
def test_a_shard_that_takes_the_wrong_scales(tmp_path: Path, packing: Packing, groups: list[int]) -> None:
    model, _ = _quantized(tmp_path, "gptq")
    weights = open_weights(model)
    right = weights.linear(DOWN, "as stored", 1, EXACT)
    scales = _scales(model)
    codes = right / scales.repeat_interleave(128, dim=1)
    torch.testing.assert_close(
        weights.linear(DOWN, packing, 2, EXACT), codes * scales[:, groups], rtol=1e-4, atol=1e-5
    )
    # What is split over its outputs is not concerned.
    up = "model.layers.0.mlp.up_proj"
    assert torch.equal(weights.linear(up, packing, 2, EXACT), weights.linear(up, "as stored", 1, EXACT))


def _codes(packed: Tensor) -> Tensor:
    """Return codes [in, out] of a GPTQ `qweight`, place by place."""
    words = packed.to(torch.int64) & 0xFFFFFFFF
    return torch.stack([(words >> (4 * place)) & 15 for place in range(8)], dim=1).flatten(0, 1).float()


def _scales(model: Model) -> Tensor:
    from safetensors import safe_open

    assert model.path is not None
    with safe_open(model.path / "model.safetensors", framework="pt") as file:
        scales: Tensor = file.get_tensor(f"{DOWN}.scales").float().T  # [out, groups]
    return scales


def test_a_layout_that_is_not_known_is_refused(tmp_path: Path) -> None:
    model, _ = _quantized(tmp_path, "gptq")
    weights = open_weights(replace(model, quantization=Quantization("gptq", 3)))
    with pytest.raises(BcliError, match="The self-check cannot read 3-bit weights of gptq"):
        weights.linear(DOWN, "as stored", 1, EXACT)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"x": Path("/")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BcliError, match=r"pytorch_model\.bin cannot be read without running code in it"):
        open_weights(_model(tmp_path))


@pytest.mark.parametrize(
    ("extra", "expected"),
    [({}, Shape(1, 4, 64)), ({"rms_norm_eps": 1e-5, "rope_theta": 5e5}, Shape(1, 4, 64, 1e-5, 5e5))],
)
def test_the_shape_is_read_from_the_configuration(tmp_path: Path, extra: dict[str, Any], expected: Shape) -> None:
    (tmp_path / "config.json").write_text(json.dumps(extra))
    assert shape_of(_model(tmp_path)) == expected


def test_stretched_positions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"rope_scaling": {"type": "linear", "factor": 2}}')
    with pytest.raises(BcliError, match="does not compute rope_scaling"):
        shape_of(_model(tmp_path))
