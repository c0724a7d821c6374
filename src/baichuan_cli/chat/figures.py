"""How fast an answer came, and how large it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baichuan_cli.engine.client import Usage


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one answer. Times are in seconds since the request was sent."""

    usage: Usage | None  # None where the server did not tell, as for an answer that was stopped
    first: float | None  # until the first text; None where there was none
    total: float

    def line(self) -> str:
        """Return them in one line for a person."""
        parts = [
            f"{self.usage.completion_tokens} tokens in {self.total:.1f} s" if self.usage else f"{self.total:.1f} s"
        ]
        if self.first is not None:
            parts.append(f"first token {self.first:.2f} s")
        if self.tokens_per_second is not None:
            parts.append(f"{self.tokens_per_second:.1f} tokens/s")
        if self.usage:
            cached = f" ({self.usage.cached_tokens:,} from the cache)" if self.usage.cached_tokens else ""
            parts.append(f"prompt {self.usage.prompt_tokens:,} tokens{cached}")
        return " · ".join(parts)

    def as_json(self) -> dict[str, object]:
        """Return them for `--json`."""
        usage = self.usage and {
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "cached_tokens": self.usage.cached_tokens,
        }
        timing = {"first_token_seconds": self.first, "total_seconds": self.total}
        return {
            "usage": usage,
            "timing": {name: value and round(value, 6) for name, value in timing.items()},
        }

    @property
    def tokens_per_second(self) -> float | None:
        """Return the rate after the first token; None where there is nothing to divide."""
        if self.usage is None or self.first is None or self.usage.completion_tokens < 2 or self.total <= self.first:
            return None
        return (self.usage.completion_tokens - 1) / (self.total - self.first)
