"""4-bit rounding as GPTQ checkpoints store it, to train weights that survive it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

GROUP_SIZE = 128
_ORIGINAL = "parametrizations.weight.original"


def round_to_int4(weight: Tensor, group_size: int = GROUP_SIZE) -> Tensor:
    """Return `weight` [out, in] rounded to 16 symmetric levels, with one scale per row and `group_size` inputs."""
    groups = weight.reshape(weight.shape[0], -1, group_size)
    scale = groups.abs().amax(dim=-1, keepdim=True).clamp(min=1e-8) * (2 / 15)
    return ((groups / scale).round().clamp(-8, 7) * scale).reshape(weight.shape)


class FakeInt4(nn.Module):
    """A parametrization that rounds the weight while `active`; gradients pass as if it did not."""

    def __init__(self) -> None:
        super().__init__()
        self.active = False

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (round_to_int4(weight) - weight).detach() if self.active else weight


def attach(model: nn.Module) -> list[FakeInt4]:
    """Put a `FakeInt4` on every projection that GPTQ quantizes: all linear layers but the head."""
    roundings = []
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and name != "lm_head":
            rounding = FakeInt4()
            parametrize.register_parametrization(module, "weight", rounding)
            roundings.append(rounding)
    return roundings


def plain_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the model's weights under their plain names, in bfloat16."""
    return {
        name.replace(_ORIGINAL, "weight"): weight.detach().to("cpu", torch.bfloat16).contiguous()
        for name, weight in model.state_dict().items()
    }


def quantized_weights(weights: dict[str, Tensor], group_size: int) -> dict[str, Tensor]:
    """Return the weights as a round-to-nearest GPTQ checkpoint would hold them."""
    return {
        name: round_to_int4(weight.float(), group_size).to(weight.dtype)
        if "_proj" in name or "W_pack" in name
        else weight
        for name, weight in weights.items()
    }
