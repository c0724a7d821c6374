"""Linear layers for a single token, as one pass over the weights at nearly the speed of memory.

Decoding one sequence is a chain of matrix-vector products, and their time is the time to read the weights. On an H100
cuBLAS reads them at 1.8 to 2.9 TB/s and this kernel at 2.4 to 3.2 (docs/benchmarks.md). Several tokens are left to
cuBLAS. `matvec_fp8.py` does the same for weights in 8 bits.

The product is an operator of its own that torch.compile does not look into, because a graph compiled by vLLM serves
every number of tokens.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.nn import functional
from vllm.model_executor.kernels.linear.scaled_mm.cutlass import CutlassFP8ScaledMMLinearKernel
from vllm.model_executor.layers.linear import UnquantizedLinearMethod
from vllm.model_executor.layers.vocab_parallel_embedding import UnquantizedEmbeddingMethod

from baichuan_cli.vllm_plugin import matvec_fp8

_WARPS = 8


@triton.jit  # type: ignore[untyped-decorator]
def _one_row(x, weight, out, columns, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Each program multiplies one row of `weight` [rows, columns] by `x` [columns], BLOCK columns at a time."""
    row = tl.program_id(0).to(tl.int64) + tl.arange(0, 1)
    column = tl.arange(0, BLOCK)
    place = weight + row[:, None] * columns + column[None, :]
    # The weights are read once, so the cache is better used for `x`, which every program reads.
    tile = tl.load(place, mask=column[None, :] < columns, other=0.0, eviction_policy="evict_first")
    total = tile.to(tl.float32) * tl.load(x + column, mask=column < columns, other=0.0).to(tl.float32)[None, :]
    for start in range(BLOCK, columns, BLOCK):
        inside = start + column < columns
        tile = tl.load(place + start, mask=inside[None, :], other=0.0, eviction_policy="evict_first")
        total += tile.to(tl.float32) * tl.load(x + start + column, mask=inside, other=0.0).to(tl.float32)[None, :]
    tl.store(out + row, tl.sum(total, axis=1).to(out.dtype.element_ty))


def matvec(x: Tensor, weight: Tensor) -> Tensor:
    """Return `x` [tokens, columns] times the transpose of `weight` [rows, columns]: [tokens, rows]."""
    if x.shape[:-1] != (1,):
        return functional.linear(x, weight)
    rows, columns = weight.shape
    out = x.new_empty(1, rows)
    # Measured for the shapes of the 7B and 13B models, also halved: a whole row at once where it is short enough.
    block = 4096 if columns <= 4096 else 2048
    _one_row[(rows,)](x, weight, out, columns, BLOCK=block, num_warps=_WARPS)
    return out


_operators = torch.library.Library("baichuan", "FRAGMENT")
_operators.define("matvec(Tensor x, Tensor weight) -> Tensor")
_operators.impl("matvec", matvec, "CUDA")
_operators._register_fake("matvec", lambda x, weight: x.new_empty((*x.shape[:-1], weight.shape[0])))


class _MatvecLinear(UnquantizedLinearMethod):  # type: ignore[misc]
    def apply(self, layer: nn.Module, x: Tensor, bias: Tensor | None = None) -> Any:
        if bias is not None:
            return super().apply(layer, x, bias)
        return torch.ops.baichuan.matvec(x, layer.weight)


class _MatvecHead(UnquantizedEmbeddingMethod):  # type: ignore[misc]
    def apply(self, layer: nn.Module, x: Tensor, bias: Tensor | None = None) -> Any:
        if bias is not None:
            return super().apply(layer, x, bias)
        return torch.ops.baichuan.matvec(x, layer.weight)


_FASTER = {UnquantizedLinearMethod: _MatvecLinear, UnquantizedEmbeddingMethod: _MatvecHead}


def use_matvec(model: nn.Module) -> None:
    """Let the layers of a model and its head use these products, as far as there is one for their weights."""
    for module in model.modules():
        method: Any = getattr(module, "quant_method", None)
        if faster := _FASTER.get(type(method)):
            module.quant_method = faster()
        elif type(kernel := getattr(method, "fp8_linear", None)) is CutlassFP8ScaledMMLinearKernel:
            method.fp8_linear = matvec_fp8.with_matvec(kernel)
