"""The product for a single token with weights in 8 bits, which vLLM otherwise gives to CUTLASS.

CUTLASS multiplies 8-bit numbers, so every input is quantized first. Here the weights alone are in 8 bits: a single
token needs no quantizing, and its answers are no further from float32 than those of a batch.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from vllm import _custom_ops
from vllm.model_executor.kernels.linear.scaled_mm.cutlass import CutlassFP8ScaledMMLinearKernel


@triton.jit  # type: ignore[untyped-decorator]
def _some_rows(x, weight, scale, out, rows, columns, ROWS: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Each program multiplies ROWS rows of `weight` [rows, columns] by `x` [columns], BLOCK columns at a time."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, BLOCK)
    total = tl.zeros((ROWS, BLOCK), tl.float32)
    for start in range(0, columns, BLOCK):
        inside = start + column < columns
        mask = (row < rows)[:, None] & inside[None, :]
        place = weight + row[:, None] * columns + start + column[None, :]
        # The weights are read once, so the cache is better used for `x`, which every program reads.
        tile = tl.load(place, mask=mask, other=0.0, eviction_policy="evict_first")
        total += tile.to(tl.float32) * tl.load(x + start + column, mask=inside, other=0.0).to(tl.float32)[None, :]
    product = tl.sum(total, axis=1) * tl.load(scale)
    tl.store(out + row, product.to(out.dtype.element_ty), mask=row < rows)


def matvec_fp8(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """Return `x` [tokens, columns] times `scale` times the transpose of 8-bit `weight` [rows, columns].

    Several tokens are quantized, each by its own scale, and left to CUTLASS. The result [tokens, rows] has the dtype
    of `x`.
    """
    if x.shape[0] != 1:
        quantized, x_scale = _custom_ops.scaled_fp8_quant(x, use_per_token_if_dynamic=True)
        return _custom_ops.cutlass_scaled_mm(quantized, weight.t(), x_scale, scale, x.dtype)
    rows, columns = weight.shape
    out = x.new_empty(1, rows)
    # Measured for the shapes of the 7B and 13B models.
    _some_rows[(triton.cdiv(rows, 4),)](x, weight, scale, out, rows, columns, ROWS=4, BLOCK=1024, num_warps=2)
    return out


_operators = torch.library.Library("baichuan", "FRAGMENT")
_operators.define("matvec_fp8(Tensor x, Tensor weight, Tensor scale) -> Tensor")
_operators.impl("matvec_fp8", matvec_fp8, "CUDA")
_operators._register_fake("matvec_fp8", lambda x, weight, scale: x.new_empty((x.shape[0], weight.shape[0])))


class MatvecFp8(CutlassFP8ScaledMMLinearKernel):  # type: ignore[misc]
    """vLLM's kernel for fp8 layers, with this product for a single token."""

    def apply_weights(self, layer: nn.Module, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return `x` [..., columns] times the layer's weights: [..., rows]."""
        weight, scale, x_scale, _ = self._get_layer_params(layer)
        columns, rows = weight.shape
        # Others come from checkpoints quantized beforehand, or are padded for CUTLASS.
        ours = scale.numel() == 1 and x_scale is None and (columns, rows) == (x.shape[-1], self.logical_output_size)
        if bias is not None or not ours:
            return super().apply_weights(layer, x, bias)
        product = torch.ops.baichuan.matvec_fp8(x.reshape(-1, columns), weight.t(), scale)
        return product.view(*x.shape[:-1], rows)


def with_matvec(kernel: CutlassFP8ScaledMMLinearKernel) -> MatvecFp8:
    """Return the same kernel with this product."""
    return MatvecFp8(kernel.config, kernel.layer_param_names)
