"""Baichuan in plain PyTorch, in the two layouts of the demos; tensor names are those of the real checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """The sizes of one model; `alibi` chooses ALiBi instead of RoPE."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    alibi: bool
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_heads


def alibi_slopes(num_heads: int) -> list[float]:
    """Return one slope per head, also for head counts that are no power of two.

    The geometric series of the next lower power of two, then every second term of the series twice as fine
    (Press et al., "Train Short, Test Long", arXiv:2108.12409, and its reference implementation).
    """
    base = 2 ** math.floor(math.log2(num_heads))
    slopes = [2.0 ** (-8.0 * i / base) for i in range(1, base + 1)]
    return slopes + [2.0 ** (-4.0 * i / base) for i in range(1, 2 * (num_heads - base), 2)]


class Position(nn.Module):
    """What attention is told about positions: rotary angles, or a bias for the scores; computed once per length."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self._cache: dict[tuple[int, torch.device, torch.dtype], tuple[Tensor, ...]] = {}

    def forward(self, length: int, like: Tensor) -> tuple[Tensor, ...]:
        """Return (cos, sin) of shape [length, head_size], or (bias,) of shape [heads, length, length]."""
        key = (length, like.device, like.dtype)
        if key not in self._cache:
            parts = self._alibi(length) if self.shape.alibi else self._rope(length)
            self._cache[key] = tuple(part.to(like.device, like.dtype) for part in parts)
        return self._cache[key]

    def _rope(self, length: int) -> tuple[Tensor, Tensor]:
        steps = torch.arange(0, self.shape.head_size, 2, dtype=torch.float64) / self.shape.head_size
        angles = torch.outer(torch.arange(length, dtype=torch.float64), self.shape.rope_theta**-steps)
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()

    def _alibi(self, length: int) -> tuple[Tensor]:
        place = torch.arange(length)
        distance = place[None, :] - place[:, None]
        slopes = torch.tensor(alibi_slopes(self.shape.num_heads))
        bias = slopes[:, None, None] * distance
        return (bias.masked_fill(distance > 0, float("-inf")),)


class RMSNorm(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.hidden_size))
        self.eps = shape.rms_norm_eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps).to(x.dtype)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn pairs (i, i + head_size/2) by their angle, as in GPT-NeoX."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.W_pack = nn.Linear(shape.hidden_size, 3 * shape.hidden_size, bias=False)
        self.o_proj = nn.Linear(shape.hidden_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor, position: tuple[Tensor, ...]) -> Tensor:
        batch, length, hidden = x.shape
        packed = self.W_pack(x).view(batch, length, 3, self.shape.num_heads, self.shape.head_size)
        q, k, v = packed.permute(2, 0, 3, 1, 4)
        if self.shape.alibi:
            (bias,) = position
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype)[None])
        else:
            q, k = (_rotate(part, *position).to(v.dtype) for part in (q, k))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, length, hidden))
        return out


class MLP(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = MLP(shape)
        self.input_layernorm = RMSNorm(shape)
        self.post_attention_layernorm = RMSNorm(shape)

    def forward(self, x: Tensor, position: tuple[Tensor, ...]) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), position)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_layers))
        self.norm = RMSNorm(shape)


class Baichuan(nn.Module):
    """Map token ids [batch, length] to logits [batch, length, vocabulary]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Decoder(shape)
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        self.position = Position(shape)

    def initialise(self, generator: torch.Generator) -> None:
        """Fill the weights: normal with deviation 0.02, smaller where a layer writes into the residual stream."""
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                scale = (
                    1 / math.sqrt(2 * self.shape.num_layers)
                    if name.endswith(("o_proj.weight", "down_proj.weight"))
                    else 1
                )
                with torch.no_grad():
                    weight.copy_(torch.randn(weight.shape, generator=generator) * 0.02 * scale)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return the normalised last hidden states [batch, length, hidden]."""
        x = self.model.embed_tokens(tokens)
        position = self.position(tokens.shape[1], x)
        for layer in self.model.layers:
            x = layer(x, position)
        out: Tensor = self.model.norm(x)
        return out

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.lm_head(self.hidden(tokens))
        return logits
