"""Our own product for one token, run by Triton's interpreter; `benchmarks/gpu_correctness.py` judges it on a card."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("triton")

SCRIPT = """
import json, os
from types import SimpleNamespace
import torch
from torch import nn
from torch.nn import functional
from vllm.config import VllmConfig, set_current_vllm_config
from vllm.model_executor.kernels.linear.scaled_mm.cutlass import CutlassFP8ScaledMMLinearKernel
from vllm.model_executor.kernels.linear.scaled_mm.ScaledMMLinearKernel import FP8ScaledMMLinearLayerConfig
from vllm.model_executor.layers.linear import UnquantizedLinearMethod
from vllm.model_executor.layers.quantization.utils.quant_utils import kFp8DynamicTokenSym, kFp8StaticTensorSym
from vllm.model_executor.layers.vocab_parallel_embedding import UnquantizedEmbeddingMethod
from baichuan_cli.vllm_plugin import matvec, matvec_fp8, model

def error(rows, columns, dtype):
    x = torch.randn(1, columns).to(dtype)
    weight = (torch.randn(rows, columns) / columns**0.5).to(dtype)
    exact = x.double() @ weight.double().T
    return ((matvec.matvec(x, weight).double() - exact).norm() / exact.norm()).item()

def error_fp8(rows, columns):
    x = torch.randn(1, columns).to(torch.float16)
    weight = torch.randn(rows, columns).to(torch.float8_e4m3fn)
    product = matvec_fp8.matvec_fp8(x, weight, torch.tensor(0.125))
    exact = x.double() @ weight.double().T / 8
    return ((product.double() - exact).norm() / exact.norm()).item()

class Layer(nn.Module):
    def __init__(self, method):
        super().__init__()
        self.quant_method = method

class Quantized(UnquantizedLinearMethod):
    pass

torch.manual_seed(0)
several, weight = torch.randn(3, 64), torch.randn(8, 64)
methods = (UnquantizedLinearMethod(), UnquantizedEmbeddingMethod(), Quantized(), None)
layers = nn.ModuleList(Layer(method) for method in methods)
CutlassFP8ScaledMMLinearKernel.is_supported = classmethod(lambda cls, capability=None: (True, None))
scales = dict(weight_quant_key=kFp8StaticTensorSym, activation_quant_key=kFp8DynamicTokenSym)
with set_current_vllm_config(VllmConfig()):
    config = FP8ScaledMMLinearLayerConfig(
        **scales, weight_shape=(8, 64), input_dtype=torch.bfloat16, out_dtype=torch.bfloat16
    )
    fp8 = Quantized()
    fp8.fp8_linear = CutlassFP8ScaledMMLinearKernel(config, ["weight", "weight_scale", "input_scale", "bound"])
    layers.append(Layer(fp8))
    matvec.use_matvec(layers)

def helps(capability, dtype, cuda=True):
    model.current_platform = SimpleNamespace(is_cuda=lambda: cuda, get_device_capability=lambda: capability)
    return model._matvec_helps(dtype)

print(json.dumps({
    "float16": [error(rows, columns, torch.float16) for rows, columns in ((64, 96), (33, 4096), (7, 5120), (6, 6848))],
    "fp8": [error_fp8(rows, columns) for rows, columns in ((64, 96), (16, 4096), (7, 5504))],
    "fp8 kernel": type(fp8.fp8_linear).__name__,
    "float32": error(16, 11008, torch.float32),
    "several": torch.equal(matvec.matvec(several, weight), functional.linear(several, weight)),
    "nested": list(matvec.matvec(several[None], weight).shape),
    "layers": [type(layer.quant_method).__name__ for layer in layers],
    "helps": [helps((9, 0), torch.bfloat16), helps((9, 0), torch.float16)],
    "not": [
        helps((9, 0), torch.float32),
        helps((8, 0), torch.float16),
        helps((10, 0), torch.float16),
        helps((9, 0), torch.float16, cuda=False),
        os.environ.update(VLLM_BATCH_INVARIANT="1") or helps((9, 0), torch.float16),
    ],
}))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_product_is_as_exact_as_its_dtype(said: dict[str, Any]) -> None:
    assert max(said["float16"]) < 5e-4
    assert said["float32"] < 1e-6
    assert max(said["fp8"]) < 5e-4


def test_several_tokens_are_left_to_torch(said: dict[str, Any]) -> None:
    assert said["several"]
    assert said["nested"] == [1, 3, 8]


def test_quantized_layers_keep_their_product(said: dict[str, Any]) -> None:
    assert said["layers"] == ["_MatvecLinear", "_MatvecHead", "Quantized", "NoneType", "Quantized"]


def test_fp8_layers_keep_their_method_and_get_a_kernel(said: dict[str, Any]) -> None:
    assert said["fp8 kernel"] == "MatvecFp8"


def test_it_is_used_where_it_was_measured(said: dict[str, Any]) -> None:
    assert said["helps"] == [True, True]
    assert said["not"] == [False] * 5
