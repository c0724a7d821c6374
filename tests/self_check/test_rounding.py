"""Rounding as the number formats have it."""

from __future__ import annotations

import pytest
import torch

from baichuan_cli.self_check.rounding import EXACT, Rounding

PI = torch.tensor([3.14159274, -1e-30, 1e30])


def test_exact_changes_nothing() -> None:
    assert EXACT.weights(EXACT.inputs(EXACT.values(EXACT.cached(PI)))) is PI


def test_each_format_keeps_its_bits() -> None:
    assert Rounding("bfloat16").values(PI)[0].item() == 3.140625  # 8 bits
    assert Rounding("float16").values(PI)[0].item() == 3.140625  # 11 bits, where pi's next ones are 0
    assert Rounding("float16").values(torch.tensor([1e6])).isinf().all()
    assert Rounding("float32").values(torch.tensor([1 + 2**-10, 1 + 2**-12])).tolist() == [1 + 2**-10, 1.0]
    assert Rounding("float32").values(PI)[2].item() == pytest.approx(1e30, rel=2**-10)  # float32's range


def test_bfloat16_that_is_cut_off_goes_towards_zero() -> None:
    x = torch.tensor([1 + 2**-7 - 2**-12, -1 - 2**-7 + 2**-12])
    assert Rounding("bfloat16").values(x).tolist() == [1 + 2**-7, -1 - 2**-7]
    assert Rounding("bfloat16 cut off").values(x).tolist() == [1.0, -1.0]


def test_fp8_has_a_scale_for_each_token_and_one_for_all_weights() -> None:
    fp8 = Rounding("bfloat16", fp8=True)
    x = torch.tensor([[1.0, 0.5], [1000.0, 500.0]])
    torch.testing.assert_close(fp8.inputs(x), x)  # a power of two apart, whatever the token's size
    assert (fp8.weights(torch.tensor([[1000.0, 0.001]]))[0, 1] - 0.001).abs() < 0.004
    assert Rounding("bfloat16", fp8_cache=True).cached(torch.tensor([1.06])).item() == 1.0


def test_a_person_reads_what_was_rounded() -> None:
    assert str(Rounding("bfloat16", fp8=True, fp8_cache=True)) == "bfloat16 and fp8 and an fp8 cache"
