"""The attention of the 13B models: vLLM's, with linear biases instead of rotary embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from vllm.distributed import get_tensor_model_parallel_rank, get_tensor_model_parallel_world_size
from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.layers.linear import QKVParallelLinear, RowParallelLinear

from baichuan_cli.vllm_plugin.alibi import alibi_slopes, refuse_without_alibi

if TYPE_CHECKING:
    from vllm.config import CacheConfig
    from vllm.model_executor.layers.quantization import QuantizationConfig

    from baichuan_cli.vllm_plugin.config import BaichuanConfig


class AlibiAttention(nn.Module):  # type: ignore[misc]
    """Stand in for vLLM's `LlamaAttention`: the same projections, no rotary embedding, slopes in the kernel.

    The constructor takes what `LlamaDecoderLayer` passes. The slopes have to be there when `Attention` is built,
    because it chooses its kernel by them.
    """

    def __init__(
        self,
        config: BaichuanConfig,
        hidden_size: int,
        num_heads: int,
        num_kv_heads: int,
        max_position_embeddings: int,
        quant_config: QuantizationConfig | None,
        bias: bool,
        bias_o_proj: bool,
        cache_config: CacheConfig | None,
        prefix: str,
        attn_type: str,
    ) -> None:
        super().__init__()
        world_size = get_tensor_model_parallel_world_size()
        first = get_tensor_model_parallel_rank() * num_heads // world_size
        local_heads = num_heads // world_size
        head_size = hidden_size // num_heads
        self.qkv_proj = QKVParallelLinear(
            hidden_size,
            head_size,
            num_heads,
            num_kv_heads,
            bias=bias,
            quant_config=quant_config,
            prefix=f"{prefix}.qkv_proj",
        )
        self.o_proj = RowParallelLinear(
            hidden_size, hidden_size, bias=bias_o_proj, quant_config=quant_config, prefix=f"{prefix}.o_proj"
        )
        self.attn = Attention(
            local_heads,
            head_size,
            scale=head_size**-0.5,
            num_kv_heads=local_heads,
            alibi_slopes=alibi_slopes(num_heads)[first : first + local_heads],
            cache_config=cache_config,
            quant_config=quant_config,
            attn_type=attn_type,
            prefix=f"{prefix}.attn",
        )
        refuse_without_alibi(self.attn.attn_backend.get_name())

    def forward(self, positions: torch.Tensor, hidden_states: torch.Tensor) -> torch.Tensor:
        """Attend over [tokens, hidden]; `positions` is Llama's, the kernels take theirs from the KV cache."""
        qkv, _ = self.qkv_proj(hidden_states)
        query, key, value = qkv.chunk(3, dim=-1)
        output, _ = self.o_proj(self.attn(query, key, value))
        return output
