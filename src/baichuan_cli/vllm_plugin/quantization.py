"""Refuse what vLLM would split wrongly: groups of quantized weights across tensor-parallel ranks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vllm.model_executor.layers.quantization import QuantizationConfig

    from baichuan_cli.vllm_plugin.config import BaichuanConfig


def refuse_split_groups(config: BaichuanConfig, quant_config: QuantizationConfig | None, world_size: int) -> None:
    """Refuse a tensor-parallel size that cuts through a group of quantized weights.

    `o_proj` and `down_proj` are split along their input, where the groups lie. vLLM's CPU kernels then use the
    wrong scales without a word, others fail deep inside.

    Raises:
        ValueError: a rank's share of a row is no multiple of the group size.
    """
    for group_size in _group_sizes(quant_config):
        for name in ("hidden_size", "intermediate_size"):
            groups, rest = divmod(getattr(config, name), group_size)
            if world_size > 1 and (rest or groups % world_size):
                width = groups * group_size + rest
                works = 1 if rest else math.gcd(groups, world_size)
                raise ValueError(
                    f"tensor_parallel_size {world_size} cannot split this checkpoint: {width} ({name}) ÷ {world_size} "
                    f"= {width / world_size:g} is no multiple of the quantization group size {group_size}. "
                    f"Use --tensor-parallel-size {works}."
                )


def _group_sizes(quant_config: QuantizationConfig | None) -> set[int]:
    """Return the group sizes along a row; whole rows (-1) cannot be cut wrongly and do not count."""
    sizes = [getattr(quant_config, "group_size", None)]  # GPTQ and AWQ
    schemes = getattr(quant_config, "target_scheme_map", {})  # compressed-tensors
    sizes += [getattr(scheme["weights"], "group_size", None) for scheme in schemes.values()]
    return {size for size in sizes if isinstance(size, int) and size > 0}
