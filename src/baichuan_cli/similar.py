"""Which known names a misspelt one may mean."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

#: In difflib's measure, the share of letters in the same order. At 0.6 a common prefix such as BCLI_ is enough.
_ALIKE = 0.65


def similar(name: str, known: Collection[str], *, count: int = 3, alike: float = _ALIKE) -> list[str]:
    """Return the known names that look most like a name, in any case, likeliest first."""
    spellings = {each.lower(): each for each in known}
    return [spellings[each] for each in get_close_matches(name.lower(), spellings, n=count, cutoff=alike)]


def did_you_mean(names: Collection[str]) -> str:
    """Return names as a question; empty where there is none."""
    if not names:
        return ""
    *others, last = names
    return f"Did you mean {', '.join(others)} or {last}?" if others else f"Did you mean {last}?"
