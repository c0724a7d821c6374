"""Over how many cards a model can be split: by attention heads, by the MLP's width, and by quantization groups."""

from __future__ import annotations

from baichuan_cli.catalog.memory import USUAL_GROUP_SIZE
from baichuan_cli.catalog.model import Model

_MOST_CARDS = 16  # two nodes of eight


def splits(model: Model, tensor_parallel_size: int) -> bool:
    """Tell whether vLLM can share a model out over a number of cards.

    Every rank needs whole heads, and whole quantization groups in the layers that are split by their inputs
    (`o_proj` over the hidden size, `down_proj` over the intermediate size). Where the group size is unknown the
    usual 128 is assumed.
    """
    architecture = model.architecture
    if architecture.num_attention_heads % tensor_parallel_size:
        return False
    group_size = 1
    if model.quantization and model.quantization.grouped:
        group_size = model.quantization.group_size or USUAL_GROUP_SIZE
    step = tensor_parallel_size * abs(group_size)
    return architecture.intermediate_size % step == 0 and architecture.hidden_size % step == 0


def tensor_parallel_sizes(model: Model) -> tuple[int, ...]:
    """Return the numbers of cards, up to 16, that a model can be split over."""
    return tuple(size for size in range(1, _MOST_CARDS + 1) if splits(model, size))
