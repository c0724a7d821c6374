"""Attention with linear biases (ALiBi, https://arxiv.org/abs/2108.12409): its slopes, and what computes it.

Of vLLM's attention backends not all do, by the source of 0.25 to 0.33. FLASHINFER, the first choice on Blackwell,
stores the slopes and never uses them: fluent and wrong. FLEX_ATTENTION and others raise deep inside. FLASH_ATTN
computes ALiBi in FlashAttention 2 only, yet on Hopper it prepares its metadata for 3 and crashes unless the version
is fixed. vLLM's wheels carry FlashAttention 2 as machine code for compute capability 8 alone: on Hopper the driver
translates it at the first start, which takes a minute, and TRITON_ATTN decodes batches faster (docs/benchmarks.md).
"""

from __future__ import annotations

import math

ALIBI_BACKENDS = (
    "FLASH_ATTN",
    "TRITON_ATTN",
    "ROCM_ATTN",
    "ROCM_AITER_FA",
    "ROCM_AITER_UNIFIED_ATTN",
    "CPU_ATTN",
)
FLASH_ATTN_VERSION = 2  # the only one with ALiBi


def alibi_slopes(num_heads: int) -> list[float]:
    """Return the slope of each head.

    For n heads, n a power of two, head i of 1..n has 2^(-8i/n). Other counts take those of the power of two below,
    and then every other slope of the power of two above: the paper's own rule, and Baichuan-13B's for its 40 heads.
    """
    below = 2 ** math.floor(math.log2(num_heads))
    slopes = [2.0 ** (-8 * i / below) for i in range(1, below + 1)]
    slopes += [2.0 ** (-4 * i / below) for i in range(1, 2 * (num_heads - below), 2)]
    return slopes


def refuse_without_alibi(backend: str) -> None:
    """Refuse an attention backend, by vLLM's name for it, that does not compute ALiBi.

    Raises:
        ValueError: the backend is not known to compute ALiBi.
    """
    if backend not in ALIBI_BACKENDS:
        raise ValueError(
            f"Attention backend {backend} does not compute ALiBi, the position embedding of this Baichuan model: "
            "its answers would be wrong. Use --attention-backend TRITON_ATTN, or leave the option out."
        )


def choose_cuda_backend(compute_capability: int, sixteen_bit: bool, plain_kv_cache: bool) -> str:
    """Choose a backend that computes ALiBi on an NVIDIA card where the person named none.

    Args:
        compute_capability: the major number: 8 is Ampere and Ada, 9 Hopper, 10 and 12 Blackwell.
        sixteen_bit: activations are float16 or bfloat16; FLASH_ATTN knows no others.
        plain_kv_cache: the KV cache has the activations' dtype; FlashAttention 2 reads no other.
    """
    if compute_capability == 8 and sixteen_bit and plain_kv_cache:
        return "FLASH_ATTN"
    return "TRITON_ATTN"
