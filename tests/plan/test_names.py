"""Misspelt names against vendors' own, and the lists against the vLLM that is installed."""

from __future__ import annotations

import re
import warnings
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.plan.names import (
    ATTENTION_BACKENDS,
    EXECUTORS,
    KV_CACHE_DTYPES,
    LINEAR_BACKENDS,
    LOAD_FORMATS,
    QUANTIZATIONS,
    misspelt,
    spelt,
)
from reference.releases import since


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gpqt", ("gptq",)),
        ("gtpq", ("gptq",)),
        ("ptq", ("gptq",)),
        ("gptq-marlin", ("gptq_marlin", "gptq_marlin_24")),
        ("awq_marlim", ("awq_marlin",)),
        ("compressed_tensors", ("compressed-tensors",)),
        ("bitsandbyte", ("bitsandbytes",)),
    ],
)
def test_misspelt_quantization_methods(name: str, meant: tuple[str, ...]) -> None:
    assert misspelt(name, QUANTIZATIONS) == meant


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FLASHH", ("FLASH_ATTN", "FLASH_ATTN_VLLM_V1")),
        ("flash", ("FLASH_ATTN", "FLASH_ATTN_VLLM_V1")),
        ("FLASHATTN", ("FLASH_ATTN",)),
        ("flash_atn", ("FLASH_ATTN",)),
        ("TRITON", ("TRITON_ATTN", "TRITON_ATTN_VLLM_V1", "TRITON_FLASH_ATTN")),
        ("FLASHINFR", ("FLASHINFER",)),
    ],
)
def test_misspelt_attention_backends(name: str, meant: tuple[str, ...]) -> None:
    assert misspelt(name, ATTENTION_BACKENDS) == meant


@pytest.mark.parametrize(
    "name", ["slimquant_w4a8", "slimquant_marlin", "w8a8_int8", "blockwise_int8", "gptq_hcu", "awq_hcu", "ascend"]
)
def test_vendors_quantization_methods(name: str) -> None:
    assert misspelt(name, QUANTIZATIONS) == ()


@pytest.mark.parametrize(
    "name", ["FLASH_ATTN_CUSTOM", "HCU_FLASH_ATTN", "HCU_ATTN", "SAGE_ATTN", "CUSTOM", "FLASH_ATTN_MLA", "FLASHMLA"]
)
def test_backends_of_vendors_and_of_other_models(name: str) -> None:
    assert misspelt(name, ATTENTION_BACKENDS) == ()


@given(st.sampled_from((*QUANTIZATIONS, *ATTENTION_BACKENDS)), st.randoms())
def test_case_does_not_matter(name: str, random: object) -> None:
    swapped = "".join(random.choice((letter.lower(), letter.upper())) for letter in name)  # type: ignore[attr-defined]
    assert spelt(swapped, (*QUANTIZATIONS, *ATTENTION_BACKENDS)) == name


@pytest.mark.engine
@since("0.8", "has no lists of names to compare with")
def test_every_name_of_the_installed_vllm_is_known() -> None:
    pytest.importorskip("vllm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and vLLM's own, at import
        from vllm.config.cache import CacheDType
        from vllm.config.kernel import LinearBackend
        from vllm.config.parallel import DistributedExecutorBackend
        from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
        from vllm.model_executor.model_loader import LoadFormats
        from vllm.v1.attention.backends.registry import AttentionBackendEnum

    assert set(QUANTIZATION_METHODS) <= set(QUANTIZATIONS)
    assert set(get_args(CacheDType)) <= set(KV_CACHE_DTYPES)
    assert set(get_args(LinearBackend)) <= set(LINEAR_BACKENDS)
    assert set(get_args(LoadFormats)) <= set(LOAD_FORMATS)
    assert set(get_args(DistributedExecutorBackend)) <= set(EXECUTORS)
    for_others = re.compile("MLA|MSA|SPARSE|DIFFKV|DSV4|CPU|HPC|NO_ATTENTION|CUSTOM")
    for_baichuan = {name for name in AttentionBackendEnum.__members__ if not for_others.search(name)}
    assert for_baichuan <= set(ATTENTION_BACKENDS)
