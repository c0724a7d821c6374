"""`1..64` and `1,8,32` as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.cli.bench.ranges import whole_numbers, words
from baichuan_cli.errors import BcliError


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("8", (8,)),
        ("1,8,32", (1, 8, 32)),
        ("1..64", (1, 2, 4, 8, 16, 32, 64)),
        ("1..48", (1, 2, 4, 8, 16, 32, 48)),
        ("3..3", (3,)),
        ("8, 1..4, 8", (8, 1, 2, 4)),
    ],
)
def test_lists_and_ranges(text: str, numbers: tuple[int, ...]) -> None:
    assert whole_numbers(text, "--batch-size") == numbers


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_range_doubles_and_holds_both_ends(low: int, high: int) -> None:
    low, high = min(low, high), max(low, high)
    numbers = whole_numbers(f"{low}..{high}", "--batch-size")
    assert (numbers[0], numbers[-1]) == (low, high)
    assert all(after <= 2 * before for before, after in zip(numbers, numbers[1:], strict=False))


@pytest.mark.parametrize("text", ["", "1,,2", "0", "-1", "x", "1..", "8..2", "1..x", "１"])
def test_nonsense_is_refused_with_the_option_named(text: str) -> None:
    with pytest.raises(BcliError, match="--batch-size"):
        whole_numbers(text, "--batch-size")


def test_words() -> None:
    assert words("none, gptq,none", "--quantization") == ("none", "gptq")
