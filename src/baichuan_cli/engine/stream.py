"""What comes back from an OpenAI-compatible server, and how long to wait for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer as the server reports them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None  # of the prompt; None where the server does not tell


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer. The text is empty where a token only begins a character."""

    text: str
    seconds: float  # since the request was sent


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of every answer that is whole."""

    reason: str | None  # "stop", "length", or what else the server calls it
    usage: Usage | None  # None where the server does not tell
    seconds: float  # since the request was sent


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One entry of `/v1/models`. vLLM tells everything, other servers often the name alone."""

    name: str
    max_model_len: int | None
    root: str | None  # the folder or repository that the weights came from


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How many seconds to wait for a server."""

    connect: float = 10.0
    first_event: float = 600.0  # a request may queue behind others, and a long prompt takes minutes on a CPU
    between_events: float = 120.0
    models: float = 30.0  # the whole list of models
