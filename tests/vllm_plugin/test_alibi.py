"""The slopes of ALiBi, and the attention backends: never a wrong answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.self_check import forward
from baichuan_cli.vllm_plugin.alibi import ALIBI_BACKENDS, alibi_slopes, choose_cuda_backend, refuse_without_alibi


@pytest.mark.parametrize("backend", ["FLASHINFER", "FLEX_ATTENTION", "TURBOQUANT", "CUSTOM"])
def test_backends_without_alibi_are_refused(backend: str) -> None:
    with pytest.raises(ValueError) as refusal:
        refuse_without_alibi(backend)
    assert str(refusal.value) == (
        f"Attention backend {backend} does not compute ALiBi, the position embedding of this Baichuan model: its "
        "answers would be wrong. Use --attention-backend TRITON_ATTN, or leave the option out."
    )


@pytest.mark.parametrize("backend", ALIBI_BACKENDS)
def test_backends_with_alibi_pass(backend: str) -> None:
    refuse_without_alibi(backend)


@pytest.mark.parametrize(
    ("card", "capability", "sixteen_bit", "plain_kv_cache", "backend"),
    [
        ("T4", 7, True, True, "TRITON_ATTN"),
        ("A100", 8, True, True, "FLASH_ATTN"),
        ("A100 in float32", 8, False, True, "TRITON_ATTN"),
        ("H100", 9, True, True, "TRITON_ATTN"),
        ("H100 with an fp8 KV cache", 9, True, False, "TRITON_ATTN"),
        ("B200", 10, True, True, "TRITON_ATTN"),
        ("RTX 5090", 12, True, True, "TRITON_ATTN"),
    ],
)
def test_choice_on_cuda(card: str, capability: int, sixteen_bit: bool, plain_kv_cache: bool, backend: str) -> None:
    assert choose_cuda_backend(capability, sixteen_bit, plain_kv_cache) == backend


def test_baichuan_13b() -> None:
    found = alibi_slopes(40)
    assert found[:32] == pytest.approx([2 ** (-0.25 * i) for i in range(1, 33)], rel=1e-12)
    last = [0.917004, 0.771105, 0.648420, 0.545254, 0.458502, 0.385553, 0.324210, 0.272627]
    assert found[32:] == pytest.approx(last, abs=5e-7)


@given(st.integers(min_value=1, max_value=256))
def test_the_same_as_the_papers_recursion(heads: int) -> None:
    assert alibi_slopes(heads) == pytest.approx(forward.alibi_slopes(heads), rel=1e-9)
