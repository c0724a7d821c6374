"""Names that vLLM gives a meaning to, and how a misspelt one is told from a vendor's own.

Each list is put together from the sources of several releases, 0.5.0 to 0.32.0: a name that only some of them have is
known here too, and is left to them.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from baichuan_cli.similar import similar

DTYPES = ("auto", "float16", "bfloat16", "float32")

EXECUTORS = ("ray", "mp", "uni", "external_launcher")

LOAD_FORMATS = (
    *("auto", "safetensors", "pt", "hf", "npcache", "dummy", "mistral", "gguf", "bitsandbytes", "sharded_state"),
    *("tensorizer", "fastsafetensors", "instanttensor", "ipc_cache", "modelexpress"),
    *("runai_streamer", "runai_streamer_sharded"),
)

KV_CACHE_DTYPES = (
    *("auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "fp8_ds_mla", "fp8_per_token_head"),
    *("int8_per_token_head", "int4_per_token_head", "nvfp4", "nvfp4_4over6", "nvfp4_ds_mla"),
    *("turboquant_k8v4", "turboquant_4bit_nc", "turboquant_k3v4_nc", "turboquant_3bit_nc", "ultraquant_4bit"),
)

QUANTIZATIONS = (
    *("gptq", "gptq_marlin", "gptq_marlin_24", "gptq_bitblas", "auto_gptq", "cpu_gptq", "marlin", "bitblas"),
    *("awq", "awq_marlin", "auto_awq", "cpu_awq", "compressed-tensors", "bitsandbytes", "gguf", "aqlm", "squeezellm"),
    *("fp8", "fbgemm_fp8", "ptpc_fp8", "fp8_per_tensor", "fp8_per_block", "fp8_per_channel", "deepseek_v4_fp8"),
    *("fp_quant", "deepspeedfp", "experts_int8", "tpu_int8", "int8_per_channel_weight_only", "moe_wna16", "qqq"),
    *("modelopt", "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed", "nvfp4", "petit_nvfp4", "nvfp4_per_token"),
    *("mxfp4", "gpt_oss_mxfp4", "mxfp8", "hqq", "quark", "torchao", "humming", "inc", "auto-round", "rtn", "ipex"),
    *("neuron_quant", "online"),
)

#: Backends for a decoder on CUDA and ROCm. Those for other devices and for other kinds of model are left out: Baichuan
#: cannot use them, and a vendor's name may look like one (HCU_ATTN and CPU_ATTN).
ATTENTION_BACKENDS = (
    *("FLASH_ATTN", "FLASH_ATTN_VLLM_V1", "TRITON_ATTN", "TRITON_ATTN_VLLM_V1", "TRITON_FLASH_ATTN"),
    *("FLASHINFER", "FLASHINFER_VLLM_V1", "TRITON_FLASHINFER", "XFORMERS", "XFORMERS_VLLM_V1"),
    *("ROCM_FLASH", "ROCM_ATTN", "ROCM_SEGMENTED_ATTN", "ROCM_AITER_FA", "ROCM_AITER_UNIFIED_ATTN"),
    *("FLEX_ATTENTION", "TREE_ATTN", "TORCH_SDPA", "DUAL_CHUNK_FLASH_ATTN", "BLOCK_SPARSE_FLASH_ATTN"),
    *("TURBOQUANT", "ULTRAQUANT", "B12X"),
)

#: What vLLM computes linear layers with (`LinearBackend` of its configuration).
LINEAR_BACKENDS = (
    *("auto", "cutlass", "flashinfer_cutlass", "flashinfer_cutedsl", "flashinfer_trtllm", "flashinfer_cudnn"),
    *("flashinfer_b12x", "b12x", "marlin", "humming", "triton", "deep_gemm", "torch", "aiter", "machete", "fbgemm"),
    *("conch", "exllama", "emulation", "xpu", "xpu_woq"),
)

_WORD_BREAK = re.compile("[-_]")

#: How alike two names are at least, in difflib's measure, for one to be the other misspelt: two letters swapped in a
#: name of four give 0.75 (gpqt); what vendors add gives less (FLASH_ATTN and FLASH_ATTN_CUSTOM: 0.74).
_ALIKE = 0.75

#: The same for a first word that stands alone, where FLASHH means a name that begins with FLASH.
_ALIKE_FIRST_WORD = 0.8


def spelt(name: str, known: Collection[str]) -> str | None:
    """Return a known name as vLLM spells it, whatever its case; None where it is not known."""
    return next((each for each in known if each.lower() == name.lower()), None)


def misspelt(name: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the known names that an unknown one seems to mean, likeliest first.

    Nothing for a vendor's own name: it is like no other, or a known name with whole words added.
    """
    if alike := similar(name, known, alike=_ALIKE):
        return () if f"_{alike[0].lower()}_" in f"_{name.lower()}_" else tuple(alike)
    first_words = {each: _WORD_BREAK.split(each)[0] for each in known}
    begin = similar(name, dict.fromkeys(first_words.values()), count=1, alike=_ALIKE_FIRST_WORD)
    return tuple(each for each, first in first_words.items() if begin and first.lower() == begin[0].lower())[:3]
