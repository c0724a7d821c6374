"""Which names a misspelt one may mean, and how that is asked."""

from __future__ import annotations

import pytest

from baichuan_cli.similar import did_you_mean, similar


def test_the_likeliest_come_first_in_their_own_spelling() -> None:
    assert similar("flash_atn", ["TRITON_ATTN", "FLASH_ATTN", "FLASHINFER"]) == ["FLASH_ATTN"]
    assert similar("gpqt", ["gptq", "GPTQ_marlin", "awq"], alike=0.3) == ["gptq", "GPTQ_marlin"]
    assert similar("gpt", ["baichuan-7b"]) == []
    assert similar("k100", ["k100", "k100-ai"], count=1) == ["k100"]


@pytest.mark.parametrize(
    ("names", "question"),
    [
        ([], ""),
        (["a"], "Did you mean a?"),
        (["a", "b"], "Did you mean a or b?"),
        (["a", "b", "c"], "Did you mean a, b or c?"),
    ],
)
def test_the_question(names: list[str], question: str) -> None:
    assert did_you_mean(names) == question
