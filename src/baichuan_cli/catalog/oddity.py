"""What is unusual about a checkpoint without keeping it from being loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Oddity:
    """One finding of the inspection."""

    severity: Literal["warning", "note"]  # a warning can change what the model answers, or whether it loads
    text: str
    what_to_do: str
