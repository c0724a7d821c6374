"""A forward pass of Baichuan in float32 on the CPU, written from the architecture alone.

It is slow and plain: no cache, no kernels, no batching tricks. A layer's weights are read, used and forgotten, so a
model of any size needs the memory of its largest matrix. Several computations of the same model, the right one and
such with something wrong in them, go through each layer together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, Protocol

from baichuan_cli.self_check.rounding import EXACT, Rounding

if TYPE_CHECKING:
    from torch import Tensor

Position = Literal["rope", "rope in pairs", "alibi", "none"]
Packing = Literal["as stored", "groups cut", "first shard's groups", "order ignored", "zeros off by one"]

#: Rows of the vocabulary that are looked at together; the head is the largest matrix of a Baichuan.
_VOCABULARY_STEP = 8192


@dataclass(frozen=True, slots=True)
class Shape:
    """What a pass has to know of a model besides its weights."""

    layers: int
    heads: int
    vocab_size: int
    epsilon: float = 1e-6  # rms_norm_eps
    theta: float = 10_000.0  # rope_theta


def alibi_slopes(heads: int) -> tuple[float, ...]:
    """Return ALiBi's slopes by the recursion of the paper's appendix: https://arxiv.org/abs/2108.12409.

    The engine's own slopes are not used, so that a mistake in them shows.
    """
    if heads & (heads - 1) == 0:
        ratio = 2 ** (-(2.0 ** -(heads.bit_length() - 1 - 3)))
        return tuple(ratio ** (i + 1) for i in range(heads))
    power = 1 << (heads.bit_length() - 1)
    return alibi_slopes(power) + alibi_slopes(2 * power)[0::2][: heads - power]


@dataclass(frozen=True, slots=True)
class Computation:
    """One way to compute a model; what differs from the right way is the flaw.

    Attributes:
        position: how attention knows the order of tokens; "rope in pairs" turns neighbours (0, 1), (2, 3), …
        norm_head: the rows of `lm_head` have unit length.
        slopes: of ALiBi, by head.
        bias_in_prefill: ALiBi holds for the prompt's own tokens too, not only for those generated later.
        packing: how 4-bit weights are unpacked.
        shards: over how many cards the weights are split, where that is done wrongly.
        head_split: every card has the head's first shard, so that the vocabulary repeats `shards` times.
    """

    position: Position
    norm_head: bool
    slopes: tuple[float, ...] = ()
    bias_in_prefill: bool = True
    packing: Packing = "as stored"
    shards: int = 1
    head_split: bool = False
    rounding: Rounding = EXACT

    @property
    def reading(self) -> tuple[Packing, int, Rounding]:
        """Return what decides about the weights of linear layers."""
        return self.packing, self.shards if self.packing != "as stored" else 1, self.rounding


@dataclass(frozen=True, slots=True)
class Asked:
    """Token ids whose first `prompt_length` were a prompt, and which log-probabilities are wanted of them.

    A place (row, token) is the log-probability of `token` after `ids[: row + 1]`.
    """

    ids: tuple[int, ...]
    prompt_length: int
    places: tuple[tuple[int, int], ...]


class Weights(Protocol):
    """A checkpoint's weights in float32, read when they are asked for."""

    def embedding(self, ids: Sequence[int]) -> Tensor:
        """Return the embeddings [tokens, hidden] of token ids."""
        ...

    def vector(self, name: str) -> Tensor:
        """Return a norm's weights."""
        ...

    def linear(self, name: str, packing: Packing, shards: int, rounding: Rounding) -> Tensor:
        """Return a linear layer's weights [out, in], rounded; packing and shards as in `Computation`."""
        ...

    def head(self, begin: int, end: int) -> Tensor:
        """Return rows [begin:end, hidden] of the output layer."""
        ...


@dataclass(frozen=True, slots=True)
class Scores:
    """Log-probabilities by one computation.

    Attributes:
        places: of each sequence, in the order of its places, [places].
        best: the highest one at the row of each place, [places].
        choices: the token that has it, [places].
    """

    places: tuple[Tensor, ...]
    best: tuple[Tensor, ...]
    choices: tuple[Tensor, ...]


def scores(
    weights: Weights,
    shape: Shape,
    sequences: Sequence[Asked],
    computations: Sequence[Computation],
    *,
    progress: Callable[[int], None] = lambda layer: None,
) -> list[Scores]:
    """Return the wanted log-probabilities by each computation.

    Args:
        weights: of the checkpoint; everything runs on the device where they are.
        shape: of the model.
        sequences: what was said, and what is wanted of it.
        computations: the ways to compute it.
        progress: called with each layer that is done.
    """
    import torch

    with torch.no_grad():
        x = _last_hidden(weights, shape, sequences, computations, progress)
        return _log_probabilities(weights, shape, sequences, computations, x)


def _last_hidden(
    weights: Weights,
    shape: Shape,
    sequences: Sequence[Asked],
    computations: Sequence[Computation],
    progress: Callable[[int], None],
) -> Tensor:
    """Return what goes into the head, [computations, tokens of all sequences, hidden]."""
    import torch

    def each(x: Tensor, change: Callable[[Rounding, Tensor], Tensor] = Rounding.values) -> Tensor:
        """Round [computations, …], in place."""
        for number, computation in enumerate(computations):
            if computation.rounding != EXACT:
                x[number] = change(computation.rounding, x[number])
        return x

    def linear(x: Tensor, name: str) -> Tensor:
        if any(computation.rounding.fp8 for computation in computations):
            x = each(x.clone(), Rounding.inputs)
        return each(_product(weights, name, x, computations))

    def norm(x: Tensor, name: str) -> Tensor:
        return each(_rms_norm(x, weights.vector(name), shape.epsilon))

    first = weights.embedding([token for asked in sequences for token in asked.ids])
    x = each(first.expand(len(computations), *first.shape).clone())
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        packed = linear(norm(x, prefix + "input_layernorm.weight"), prefix + "self_attn.W_pack")
        attended = each(
            torch.stack(
                [
                    torch.cat([_attend(part, shape, c, asked) for part, asked in _by_sequence(rows, sequences)])
                    for rows, c in zip(packed, computations, strict=True)
                ]
            )
        )
        x = each(x + linear(attended, prefix + "self_attn.o_proj"))
        h = norm(x, prefix + "post_attention_layernorm.weight")
        gate = linear(h, prefix + "mlp.gate_proj")
        inner = each(gate * torch.sigmoid(gate) * linear(h, prefix + "mlp.up_proj"))
        x = each(x + linear(inner, prefix + "mlp.down_proj"))
        progress(layer)
    return norm(x, "model.norm.weight")


def _product(weights: Weights, name: str, x: Tensor, computations: Sequence[Computation]) -> Tensor:
    """Return x [computations, tokens, in] times a layer's weights, made once for all that have them alike."""
    import torch

    products: dict[int, Tensor] = {}
    for reading in dict.fromkeys(computation.reading for computation in computations):
        alike = [number for number, computation in enumerate(computations) if computation.reading == reading]
        products.update(zip(alike, x[alike] @ weights.linear(name, *reading).T, strict=True))
    return torch.stack([products[number] for number in range(len(computations))])


def _by_sequence(x: Tensor, sequences: Sequence[Asked]) -> Iterator[tuple[Tensor, Asked]]:
    parts = x.split([len(asked.ids) for asked in sequences], dim=0)
    return zip(parts, sequences, strict=True)


def _attend(packed: Tensor, shape: Shape, computation: Computation, asked: Asked) -> Tensor:
    """Return one sequence's attention [tokens, hidden] from its W_pack [tokens, 3 × hidden]."""
    import torch

    rounding = computation.rounding
    tokens, width = packed.shape
    size = width // 3 // shape.heads
    query, key, value = packed.view(tokens, 3, shape.heads, size).permute(1, 2, 0, 3)
    if computation.position in ("rope", "rope in pairs"):
        in_pairs = computation.position == "rope in pairs"
        query, key = (rounding.values(_rotate(part, shape.theta, in_pairs)) for part in (query, key))
    key, value = rounding.cached(key), rounding.cached(value)
    weights = query @ key.transpose(1, 2) / size**0.5
    if computation.position == "alibi":
        place = torch.arange(tokens, device=packed.device)
        distance = (place[None, :] - place[:, None]).float()
        if not computation.bias_in_prefill:
            distance[: asked.prompt_length] = 0
        weights += torch.tensor(computation.slopes, device=packed.device)[:, None, None] * distance
    future = torch.ones(tokens, tokens, dtype=torch.bool, device=packed.device).triu(1)
    shares = rounding.values(torch.softmax(weights.masked_fill(future, float("-inf")), dim=-1))
    return (shares @ value).transpose(0, 1).reshape(tokens, -1)


def _rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    import torch

    return x * torch.rsqrt((x * x).mean(dim=-1, keepdim=True) + epsilon) * weight


def _rotate(x: Tensor, theta: float, in_pairs: bool) -> Tensor:
    """Turn each pair (i, i + half) of [heads, tokens, head_size] by position × theta^(-i/half)."""
    import torch

    half = x.shape[-1] // 2
    place, frequency = (torch.arange(n, device=x.device, dtype=torch.float64) for n in (x.shape[1], half))
    angle = place[:, None] * theta ** (-frequency / half)[None, :]
    cosine, sine = angle.cos().float(), angle.sin().float()
    a, b = (x[..., 0::2], x[..., 1::2]) if in_pairs else (x[..., :half], x[..., half:])
    turned = a * cosine - b * sine, b * cosine + a * sine
    return torch.stack(turned, dim=-1).flatten(-2) if in_pairs else torch.cat(turned, dim=-1)


def _log_probabilities(
    weights: Weights, shape: Shape, sequences: Sequence[Asked], computations: Sequence[Computation], x: Tensor
) -> list[Scores]:
    """Return the scores from what goes into the head; the vocabulary passes by in parts."""
    import torch

    starts = list(accumulate((len(asked.ids) for asked in sequences), initial=0))
    places = [
        (start + row, token) for start, asked in zip(starts, sequences, strict=False) for row, token in asked.places
    ]
    rows = torch.tensor([row for row, _ in places], device=x.device)
    tokens = torch.tensor([token for _, token in places], device=x.device)
    wanted, of_place = rows.unique(return_inverse=True)
    heads = [_Head(shape, c, x[number, wanted], of_place, tokens) for number, c in enumerate(computations)]
    for begin in range(0, shape.vocab_size, _VOCABULARY_STEP):
        part = weights.head(begin, min(shape.vocab_size, begin + _VOCABULARY_STEP))
        for head in heads:
            head.add(begin, part)
    lengths = [len(asked.places) for asked in sequences]
    return [head.scores(lengths) for head in heads]


class _Head:
    """One computation's output layer: log-softmax over a vocabulary that comes in parts."""

    def __init__(
        self, shape: Shape, computation: Computation, hidden: Tensor, of_place: Tensor, tokens: Tensor
    ) -> None:
        import torch

        self._computation, self._hidden, self._of_place = computation, hidden, of_place
        self._copies = computation.shards if computation.head_split else 1
        self._size = shape.vocab_size // self._copies
        self._tokens = tokens % self._size
        self._total = torch.full((len(hidden),), float("-inf"), device=hidden.device)
        self._best = self._total.clone()
        self._choices = torch.zeros(len(hidden), dtype=torch.long, device=hidden.device)
        self._logits = torch.empty(len(tokens), device=hidden.device)

    def add(self, begin: int, part: Tensor) -> None:
        """Take the rows of the vocabulary [rows, hidden] that start at `begin`."""
        import torch

        part = part[: max(0, self._size - begin)]
        if not len(part):
            return
        if self._computation.norm_head:
            part = part / part.norm(dim=1, keepdim=True).clamp(min=1e-12)
        rounding = self._computation.rounding
        logits = rounding.values(self._hidden @ rounding.values(part).T)
        self._total = torch.logaddexp(self._total, logits.logsumexp(dim=-1))
        best, choices = logits.max(dim=-1)
        self._choices = torch.where(best > self._best, begin + choices, self._choices)
        self._best = torch.maximum(self._best, best)
        inside = (self._tokens >= begin) & (self._tokens < begin + len(part))
        self._logits[inside] = logits[self._of_place[inside], self._tokens[inside] - begin]

    def scores(self, lengths: list[int]) -> Scores:
        """Return what was wanted, by sequence."""
        total = self._total + math.log(self._copies)
        found = (
            self._logits - total[self._of_place],
            (self._best - total)[self._of_place],
            self._choices[self._of_place],
        )
        return Scores(*(values.split(lengths) for values in found))
