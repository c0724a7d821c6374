"""Baichuan as vLLM's Llama: one fused `W_pack`, ALiBi where the checkpoint has it, and a head that may be normalised.

Imported by vLLM by name, in the processes that build the model.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import normalize
from vllm.model_executor.models.llama import LlamaDecoderLayer, LlamaForCausalLM
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper
from vllm.platforms import current_platform

from baichuan_cli.vllm_plugin.attention import AlibiAttention
from baichuan_cli.vllm_plugin.quantization import refuse_split_groups

if TYPE_CHECKING:
    from vllm.config import VllmConfig


class BaichuanForCausalLM(LlamaForCausalLM):  # type: ignore[misc]
    """Serve every Baichuan and Baichuan 2 checkpoint."""

    # `QKVParallelLinear` takes q, k and v stacked in one tensor, plain or quantized, and shards it by heads; on the
    # class this also renames LoRA adapters and the module names in a quantization config.
    hf_to_vllm_mapper = WeightsMapper(orig_to_new_substr={".W_pack": ".qkv_proj"})
    # One adapter and one set of quantized tensors for W_pack, not three.
    packed_modules_mapping = {"qkv_proj": ["qkv_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        config = vllm_config.model_config.hf_config
        refuse_split_groups(config, vllm_config.quant_config, vllm_config.parallel_config.tensor_parallel_size)
        layer = partial(LlamaDecoderLayer, attn_layer_type=AlibiAttention) if config.alibi else LlamaDecoderLayer
        super().__init__(vllm_config=vllm_config, prefix=prefix, layer_type=layer)
        if _matvec_helps(vllm_config.model_config.dtype):
            from baichuan_cli.vllm_plugin.matvec import use_matvec  # needs Triton

            use_matvec(self)
        if config.norm_head:
            # An adapter would be added to the normalised head, while the official code normalises the sum.
            self.embedding_modules = {"embed_tokens": "input_embeddings"}

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Load a checkpoint's tensors; return the names of the parameters that were filled.

        Raises:
            ValueError: the head has to be normalised and is quantized.
        """
        if self.config.norm_head:
            weights = _normalise_head(weights)
        loaded: set[str] = AutoWeightsLoader(self).load_weights(weights, mapper=self.hf_to_vllm_mapper)
        return loaded


def _matvec_helps(dtype: torch.dtype) -> bool:
    """Tell whether our own product for a single token is used: where it was measured, on Hopper in 16 bits.

    Not where results must not depend on the size of the batch, since it adds in another order than cuBLAS.
    """
    return (
        current_platform.is_cuda()
        and current_platform.get_device_capability() == (9, 0)
        and dtype in (torch.float16, torch.bfloat16)
        and os.environ.get("VLLM_BATCH_INVARIANT", "0") != "1"
    )


def _normalise_head(weights: Iterable[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
    """Scale the rows of `lm_head.weight` [vocab, hidden] to unit length, once and for all.

    Baichuan 2 divides them by their L2 norm in every forward pass (`NormHead` of its modelling code). Whole rows are
    at hand here, before vLLM shards the vocabulary, and normalising twice changes nothing.
    """
    for name, tensor in weights:
        if name == "lm_head.weight":
            yield name, normalize(tensor.float(), dim=-1, eps=1e-12)
        elif name.startswith("lm_head."):
            raise ValueError(f"{name}: a quantized head cannot be normalised. Quantize this model without lm_head.")
        else:
            yield name, tensor
