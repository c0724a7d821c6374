"""A forward pass of Baichuan in float32, written from the architecture alone, to judge an engine by.

One sequence, no cache, no kernels: what the model is, in the fewest lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Shape:
    """A Baichuan model's sizes. Names of tensors are the checkpoint's."""

    hidden_size: int = 192
    intermediate_size: int = 320
    layers: int = 2
    heads: int = 6
    vocab_size: int = 512
    alibi: bool = False
    norm_head: bool = False

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.heads


def slopes(heads: int) -> list[float]:
    """ALiBi's slopes by the recursion of the paper's appendix."""
    if heads & (heads - 1) == 0:
        ratio = 2 ** (-(2.0 ** -(heads.bit_length() - 1 - 3)))
        return [ratio ** (i + 1) for i in range(heads)]
    power = 1 << (heads.bit_length() - 1)
    return slopes(power) + slopes(2 * power)[0::2][: heads - power]


def logprobs(
    weights: Mapping[str, Tensor],
    shape: Shape,
    ids: list[int],
    head_slopes: list[float] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    round_input: Callable[[Tensor], Tensor] = lambda x: x,
) -> Tensor:
    """Return log-probabilities [tokens, vocab] of the token after each position; `head_slopes` replaces ALiBi's.

    Another `dtype`, and a `round_input` for what goes into the blocks' linear layers, show how far rounding alone
    leads away from float32. Everything runs where the weights are.
    """
    get = {name: tensor.to(dtype) for name, tensor in weights.items()}
    tokens, device = len(ids), get["lm_head.weight"].device
    x = get["model.embed_tokens.weight"][torch.tensor(ids, device=device)]
    for layer in range(shape.layers):
        p = f"model.layers.{layer}."
        h = round_input(_rms_norm(x, get[p + "input_layernorm.weight"]))
        packed = h @ get[p + "self_attn.W_pack.weight"].T
        q, k, v = packed.view(tokens, 3, shape.heads, shape.head_size).permute(1, 2, 0, 3)
        if shape.alibi:
            place = torch.arange(tokens, device=device)
            distance = place[None, :] - place[:, None]
            bias = torch.tensor(head_slopes or slopes(shape.heads), device=device)[:, None, None] * distance
        else:
            q, k, bias = _rotate(q), _rotate(k), torch.zeros(1, device=device)
        scores = (q @ k.transpose(1, 2)).float() / shape.head_size**0.5 + bias
        future = torch.ones(tokens, tokens, dtype=torch.bool, device=device).triu(1)
        attention = torch.softmax(scores.masked_fill(future, float("-inf")), dim=-1).to(dtype) @ v
        attended = round_input(attention.transpose(0, 1).reshape(tokens, -1))
        x = x + attended @ get[p + "self_attn.o_proj.weight"].T
        h = round_input(_rms_norm(x, get[p + "post_attention_layernorm.weight"]))
        gate = h @ get[p + "mlp.gate_proj.weight"].T
        up = h @ get[p + "mlp.up_proj.weight"].T
        x = x + round_input(gate * torch.sigmoid(gate) * up) @ get[p + "mlp.down_proj.weight"].T
    head = get["lm_head.weight"]
    if shape.norm_head:
        head = head / head.norm(dim=1, keepdim=True)
    return torch.log_softmax((_rms_norm(x, get["model.norm.weight"]) @ head.T).float(), dim=-1)


def _rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    wide = x.float()
    return (wide / torch.sqrt((wide * wide).mean(dim=-1, keepdim=True) + 1e-6)).to(x.dtype) * weight


def _rotate(x: Tensor) -> Tensor:
    """Turn each pair (i, i + half) of [heads, tokens, head_size] by position × 10000^(-i/half)."""
    half = x.shape[-1] // 2
    place, frequency = (torch.arange(size, device=x.device) for size in (x.shape[1], half))
    angle = place[:, None] * 10000.0 ** (-frequency / half)[None, :]
    wide = x.float()
    turned = torch.complex(wide[..., :half], wide[..., half:]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat((turned.real, turned.imag), dim=-1).to(x.dtype)
