"""Settle what a Baichuan model needs from vLLM's own settings, before any process starts or any weight is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm.logger import init_logger
from vllm.model_executor.models.config import VerifyAndUpdateConfig

from baichuan_cli.vllm_plugin.alibi import FLASH_ATTN_VERSION, choose_cuda_backend, refuse_without_alibi
from baichuan_cli.vllm_plugin.quantization import refuse_split_groups

if TYPE_CHECKING:
    from vllm.config import VllmConfig

logger = init_logger(__name__)


class BaichuanEngineConfig(VerifyAndUpdateConfig):  # type: ignore[misc]
    """vLLM calls this for our architectures while it completes its configuration."""

    @staticmethod
    def verify_and_update_config(vllm_config: VllmConfig) -> None:
        """Refuse what would be wrong and set what ALiBi needs.

        Raises:
            ValueError: quantization groups cannot be split, or the chosen attention backend drops ALiBi.
        """
        _check_quantization(vllm_config)
        if vllm_config.model_config.hf_config.alibi:
            _settle_attention(vllm_config)


def _check_quantization(vllm_config: VllmConfig) -> None:
    model_config = vllm_config.model_config
    if model_config.quantization is None:
        return
    from vllm.model_executor.model_loader.weight_utils import get_quant_config

    quant_config = get_quant_config(model_config, vllm_config.load_config)
    refuse_split_groups(model_config.hf_config, quant_config, vllm_config.parallel_config.tensor_parallel_size)


def _settle_attention(vllm_config: VllmConfig) -> None:
    import torch
    from vllm.platforms import current_platform
    from vllm.v1.attention.backends.registry import AttentionBackendEnum

    attention = vllm_config.attention_config
    if attention.backend is not None:
        refuse_without_alibi(attention.backend.name)
    elif current_platform.is_cuda():
        capability = current_platform.get_device_capability()
        name = choose_cuda_backend(
            capability.major,
            sixteen_bit=vllm_config.model_config.dtype in (torch.float16, torch.bfloat16),
            plain_kv_cache=vllm_config.cache_config.cache_dtype == "auto",
        )
        attention.backend = AttentionBackendEnum[name]
        logger.info("ALiBi: using attention backend %s.", name)
    if attention.flash_attn_version not in (None, FLASH_ATTN_VERSION):
        logger.warning("ALiBi needs FlashAttention 2: flash_attn_version %s ignored.", attention.flash_attn_version)
    attention.flash_attn_version = FLASH_ATTN_VERSION
