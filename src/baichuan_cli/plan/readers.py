"""How a value is read that a person wrote: typed already (YAML), or text (the environment, the command line)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from baichuan_cli.plan.model import SettingValue
from baichuan_cli.plan.names import misspelt, spelt
from baichuan_cli.similar import did_you_mean, similar

#: Turns what a person wrote into a value, or raises ValueError with what was expected.
Reader = Callable[[object], SettingValue]

#: vLLM's processes pass on 64 bits and its tensors hold 32: a larger number ends the engine, and with it a batch.
LARGEST = 2**31 - 1

_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")


class UnknownName(ValueError):
    """A name without a meaning.

    Args:
        expected: what it should have been a name of: "quantization method".
        hint: the names that it may stand for.
    """

    def __init__(self, expected: str, hint: str) -> None:
        super().__init__(expected)
        self.hint = hint


def boolean(raw: object) -> bool:
    """Read true or false, or one of their usual spellings."""
    if isinstance(raw, bool):
        return raw
    text = str(raw).strip().lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise ValueError("true or false")


def integer(minimum: int, maximum: int | None = None) -> Reader:
    """Read a whole number in a range."""
    expected = "a whole number" + (f", {minimum} or more" if maximum is None else f" from {minimum} to {maximum}")

    def read_integer(raw: object) -> int:
        if isinstance(raw, bool) or not isinstance(raw, (int, str)):
            raise ValueError(expected)
        try:
            value = int(raw)
        except ValueError:
            raise ValueError(expected) from None
        if value < minimum or (maximum is not None and value > maximum):
            raise ValueError(expected)
        return value

    return read_integer


def number(minimum: float, maximum: float, *, above: bool = False) -> Reader:
    """Read a number in a range; `above` leaves out the minimum itself."""
    bounds = f"{'above' if above else 'from'} {minimum:g}"
    expected = f"a number {bounds}" + (f" to {maximum:g}" if maximum != float("inf") else "")

    def read_number(raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
            raise ValueError(expected)
        try:
            value = float(raw)
        except (ValueError, OverflowError):  # the second for a whole number of 400 digits
            raise ValueError(expected) from None
        if not minimum <= value <= maximum or (above and value == minimum) or value == float("inf"):
            raise ValueError(expected)
        return value

    return read_number


def one_of(choices: Collection[str]) -> Reader:
    """Read one of a few names, in any case."""

    def read_choice(raw: object) -> str:
        if (choice := spelt(str(raw).strip(), choices)) is None:
            raise ValueError("one of " + ", ".join(choices))
        return choice

    return read_choice


def name_of(kind: str, known: Collection[str]) -> Reader:
    """Read one of many names, in any case."""

    def read_name(raw: object) -> str:
        text = _word(raw)
        if (name := spelt(text, known)) is None:
            raise UnknownName(kind, nearest(text, known))
        return name

    return read_name


def open_name_of(kind: str, known: Collection[str]) -> Reader:
    """Read a name, in any case, that may also be a vendor's own; only a misspelt one is refused."""

    def read_open_name(raw: object) -> str:
        text = _word(raw)
        if (name := spelt(text, known)) is not None:
            return name
        if meant := misspelt(text, known):
            raise UnknownName(kind, did_you_mean(meant))
        return text

    return read_open_name


def or_none(reader: Reader) -> Reader:
    """Let a person say that there shall be none: null in YAML, the word `none` elsewhere."""

    def read_optional(raw: object) -> SettingValue:
        return None if raw is None or (isinstance(raw, str) and raw.strip().lower() == "none") else reader(raw)

    return read_optional


def top_k(raw: object) -> SettingValue:
    """Read top_k; 0 and -1 both mean off, and -1 is the one spelling that every vLLM release accepts."""
    try:
        value = integer(-1, LARGEST)(raw)
    except ValueError:
        raise ValueError(f"a whole number up to {LARGEST}, or -1 for off") from None
    return -1 if value == 0 else value


def several(reader: Reader) -> Reader:
    """Read a list, or one value for a list of one; text from the environment is split at commas for numbers only."""

    def read_list(raw: object) -> SettingValue:
        if isinstance(raw, (list, tuple)):
            return tuple(reader(item) for item in raw)
        if isinstance(raw, str) and reader is not stop_text:
            return tuple(reader(item) for item in raw.split(","))
        return (reader(raw),)

    return read_list


def address(raw: object) -> str:
    """Read the name or the number of a machine in a network."""
    if not isinstance(raw, str) or not raw.strip() or re.search(r"[\s/]", raw.strip()):
        raise ValueError("the address of a machine, such as 10.0.0.1")
    return raw.strip()


def stop_text(raw: object) -> str:
    """Read a text that ends an answer; spaces around it count."""
    if not isinstance(raw, str) or not raw:
        raise ValueError("a text")
    return raw


def nearest(name: str, known: Collection[str]) -> str:
    """Return a hint with the known names that look most like a wrong one."""
    return did_you_mean(similar(str(name), known)) or f"There are: {', '.join(known)}."


def _word(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("a name")
    return raw.strip()
