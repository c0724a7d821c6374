"""What goes into an engine and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt as token ids, with the sampling parameters that differ from the plan's."""

    request_id: str
    prompt_token_ids: tuple[int, ...]
    sampling: Mapping[str, object] = field(default_factory=dict)  # names of vLLM's SamplingParams


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token with its log-probability and the likeliest alternatives."""

    token_id: int
    text: str
    logprob: float
    top: tuple[tuple[int, str, float], ...] = ()  # (token id, text, logprob), likeliest first


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to a prompt."""

    index: int
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    logprobs: tuple[Token, ...] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """Everything that came back for one request. Times in seconds since the request was handed to the engine."""

    request_id: str
    prompt_tokens: int
    choices: tuple[Choice, ...]
    first_token_seconds: float | None  # None where only finished answers were asked of the engine
    total_seconds: float
    cached_tokens: int | None = None  # prompt tokens answered from the prefix cache; None where vLLM does not say
    # Log-probabilities of each prompt token and of the likeliest in its place, by id; None unless asked for.
    prompt_logprobs: tuple[Mapping[int, float], ...] | None = None

    @property
    def completion_tokens(self) -> int:
        """Return the generated tokens over all choices."""
        return sum(len(choice.token_ids) for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that vLLM would not take."""

    request_id: str
    reason: str
