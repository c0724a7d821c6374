"""How coarsely an engine computes, put into the float32 pass: it shows how far rounding alone leads from float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["exact", "float32", "float16", "bfloat16", "bfloat16 cut off"]

#: Bits of the mantissa that TF32 drops. Kernels in Triton multiply float32 as TF32.
_TF32_DROPS = 13

#: All but the bits of a float32 that bfloat16 has. vLLM's kernels for the CPU keep these and drop the rest where they
#: were built for processors without AVX512-BF16 (seen in 0.5.0): not to the nearest, but always towards zero.
_BFLOAT16_BITS = -1 << 16


@dataclass(frozen=True, slots=True)
class Rounding:
    """What is rounded in one computation, and how.

    Attributes:
        precision: of weights and of whatever one step hands to the next; sums inside a step are exact, as in kernels.
        fp8: weights and inputs of the blocks' linear layers are float8 (e4m3) besides.
        fp8_cache: so are keys and values.
    """

    precision: Precision = "exact"
    fp8: bool = False
    fp8_cache: bool = False

    def values(self, x: Tensor) -> Tensor:
        """Round what one step hands to the next."""
        import torch

        match self.precision:
            case "exact":
                return x
            case "float32":
                return _tf32(x)
            case "float16":
                return x.to(torch.float16).float()
            case "bfloat16":
                return x.to(torch.bfloat16).float()
            case "bfloat16 cut off":
                return (x.view(torch.int32) & _BFLOAT16_BITS).view(torch.float32)

    def inputs(self, x: Tensor) -> Tensor:
        """Round what goes into a linear layer, [..., tokens, features]: fp8 has one scale per token."""
        return _fp8(x, x.abs().amax(dim=-1, keepdim=True)) if self.fp8 else x

    def cached(self, x: Tensor) -> Tensor:
        """Round keys or values; vLLM gives them no scale by itself."""
        import torch

        return x.to(torch.float8_e4m3fn).float() if self.fp8_cache else x

    def weights(self, x: Tensor) -> Tensor:
        """Round a linear layer's weights; fp8 has one scale for all of them."""
        rounded = self.values(x)
        return _fp8(rounded, rounded.abs().amax()) if self.fp8 else rounded

    def __str__(self) -> str:
        """Return what a person calls it."""
        return " and ".join([self.precision, *["fp8"] * self.fp8, *["an fp8 cache"] * self.fp8_cache])


EXACT = Rounding()


def _tf32(x: Tensor) -> Tensor:
    import torch

    bits = x.view(torch.int32)
    half = 1 << (_TF32_DROPS - 1)
    return ((bits + half) >> _TF32_DROPS << _TF32_DROPS).view(torch.float32)


def _fp8(x: Tensor, largest: Tensor) -> Tensor:
    import torch

    scale = largest.clamp(min=1e-12) / torch.finfo(torch.float8_e4m3fn).max
    return (x / scale).to(torch.float8_e4m3fn).float() * scale
