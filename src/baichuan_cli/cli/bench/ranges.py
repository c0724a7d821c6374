"""Lists and ranges as people write them: `1,8,32`, `1..64` by doubling, `none,gptq`."""

from __future__ import annotations

from baichuan_cli.errors import BcliError


def words(text: str, option: str) -> tuple[str, ...]:
    """Return the parts of a list, each once, in their order.

    Raises:
        BcliError: there is none, or one is empty.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise BcliError(f"{option} {text!r} has an empty place.", hint="Write it like 1,8,32.")
    return tuple(dict.fromkeys(parts))


def whole_numbers(text: str, option: str) -> tuple[int, ...]:
    """Return the numbers of a list. `1..64` doubles from 1 to 64, and both ends are in it.

    Raises:
        BcliError: something in it is no whole number from 1 on, or a range goes down.
    """
    return tuple(dict.fromkeys(number for part in words(text, option) for number in _range(part, option)))


def _range(part: str, option: str) -> list[int]:
    low, dots, high = part.partition("..")
    first = _number(low, option)
    if not dots:
        return [first]
    last = _number(high, option)
    if last < first:
        raise BcliError(f"{option} {part}: the range goes down.", hint=f"Write {last}..{first}.")
    numbers = []
    while first < last:
        numbers.append(first)
        first *= 2
    return [*numbers, last]


def _number(text: str, option: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise BcliError(f"{option}: {text!r} is no whole number from 1 on.", hint="Write it like 1,8,32 or 1..64.")
    return int(text)
