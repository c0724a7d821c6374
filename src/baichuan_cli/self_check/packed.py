"""4-bit weights unpacked to float32: GPTQ, AWQ and compressed-tensors, rightly and in the ways that went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from torch import Tensor

    from baichuan_cli.self_check.forward import Packing

_AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # where the code of each of eight neighbours lies
_WORD = 32

#: The tensors that one quantized layer is stored as.
PARTS = ("qweight", "qzeros", "scales", "g_idx", "weight_packed", "weight_scale", "weight_shape")
SCALES = ("scales", "weight_scale")


def unpack(method: str, bits: int, parts: Mapping[str, Tensor], packing: Packing, shards: int) -> Tensor:
    """Return the weights [out, in] that a quantized layer means.

    Args:
        method: "gptq", "awq" or "compressed-tensors".
        bits: of one code; 2, 4 or 8.
        parts: the layer's tensors, by the last part of their names.
        packing: "as stored", or what was done wrongly with it.
        shards: over how many cards the inputs were split, for what goes wrong in that.

    Raises:
        BcliError: a layout that the float32 pass does not know.
    """
    if method == "compressed-tensors":
        return _compressed(bits, parts)
    if _WORD % bits or method not in ("gptq", "awq"):
        raise BcliError(
            f"The self-check cannot read {bits}-bit weights of {method}.",
            hint="It reads GPTQ of 2, 4 or 8 bits, AWQ of 4 bits, and compressed-tensors packed to 4 or 8 bits.",
            exit_code=ExitCode.INVALID,
        )
    import torch

    scales = parts["scales"]  # [groups, out]
    if method == "gptq":
        codes = _codes(parts["qweight"], bits, dim=0)  # [in, out]
        # AutoGPTQ stores zero points less one.
        zeros = _codes(parts["qzeros"], bits, dim=1) + (packing != "zeros off by one")
    else:
        codes, zeros = (_codes(parts[name], bits, dim=1, order=_AWQ_ORDER) for name in ("qweight", "qzeros"))
    in_order = torch.arange(len(codes)) // (len(codes) // len(scales))
    groups = _groups(parts["g_idx"].long() if "g_idx" in parts else in_order, len(scales), packing, shards)
    return ((codes - zeros[groups]) * scales[groups]).T.contiguous()


def _groups(right: Tensor, count: int, packing: Packing, shards: int) -> Tensor:
    """Return the group of each input feature, as each of `shards` cards takes it."""
    import torch

    features = torch.arange(len(right))
    size = len(right) // count
    card, local = features // (len(right) // shards), features % (len(right) // shards)
    match packing:
        case "order ignored":
            return features // size
        case "first shard's groups":
            return right[local]
        case "groups cut":
            a_card = max(count // shards, 1)
            return (card * a_card + (local // size).clamp(max=a_card - 1)).clamp(max=count - 1)
        case _:
            return right


def _compressed(bits: int, parts: Mapping[str, Tensor]) -> Tensor:
    codes = _codes(parts["weight_packed"], bits, dim=1) - (1 << (bits - 1))
    width = int(parts["weight_shape"][1])
    scales = parts["weight_scale"]  # [out, groups]
    return codes[:, :width] * scales.repeat_interleave(width // scales.shape[1], dim=1)


def _codes(words: Tensor, bits: int, dim: int, order: Iterable[int] | None = None) -> Tensor:
    """Return the codes of 32-bit words as floats, `32 / bits` for one along `dim`; the first in the lowest bits."""
    import torch

    shifts = torch.tensor([place * bits for place in order or range(_WORD // bits)], dtype=torch.int32)
    codes = (words.unsqueeze(dim + 1) >> shifts.view(-1, *[1] * (words.ndim - dim - 1))) & ((1 << bits) - 1)
    return codes.flatten(dim, dim + 1).float()
