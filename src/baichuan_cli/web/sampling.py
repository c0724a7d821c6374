"""How a model is asked: with its own settings where they are known, with the person's, or with the server's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from baichuan_cli.engine.client import ServedModel

_CONTEXT = 4096  # tokens; where the slider ends when the server does not tell its context
_ANSWER = 512  # tokens; for a model that tells nothing


class Knobs(NamedTuple):
    """What a person can turn, in the order in which the page shows it."""

    server_decides: bool
    temperature: float
    top_p: float
    top_k: int  # 0 is off
    repetition_penalty: float
    max_tokens: int


#: Knobs that OpenAI's API does not have.
VLLM_ONLY = ("top_k", "repetition_penalty")


@dataclass(frozen=True, slots=True)
class Offered:
    """A model of the server, and how the page asks it."""

    name: str
    knobs: Knobs  # before anybody has turned them
    longest: int  # tokens that an answer can have
    context: int | None = None  # tokens; None: the server does not tell
    vllm: bool = False  # the server takes vLLM's parameters beside OpenAI's
    fixed: Mapping[str, Any] = field(default_factory=dict)  # parameters that go along and have no knob

    def sampling(self, knobs: Knobs) -> dict[str, Any]:
        """Return the parameters of a request; what the server is to decide is not sent at all."""
        if knobs.server_decides:
            return {}
        sent = {"temperature": knobs.temperature, "top_p": knobs.top_p, "max_tokens": knobs.max_tokens}
        if self.vllm:
            sent |= {"top_k": knobs.top_k or -1, "repetition_penalty": knobs.repetition_penalty}
        return {**self.fixed, **sent}


def offer(served: ServedModel, own: Mapping[str, Any] | None) -> Offered:
    """Return how the page asks a model.

    Args:
        served: the model as the server lists it. Only vLLM tells a `root`.
        own: the model's own sampling parameters, by the names of vLLM's SamplingParams; None where nobody knows them,
            and then the server decides until the person takes over.
    """
    known = own or {}
    longest = served.max_model_len or _CONTEXT
    knobs = Knobs(
        server_decides=own is None,
        temperature=known.get("temperature", 1.0),
        top_p=known.get("top_p", 1.0),
        top_k=max(0, known.get("top_k", 0)),
        repetition_penalty=known.get("repetition_penalty", 1.0),
        max_tokens=min(known.get("max_tokens", _ANSWER), max(1, longest // 2)),
    )
    turned = (*Knobs._fields, "n", "logprobs")
    return Offered(
        name=served.name,
        knobs=knobs,
        longest=longest,
        context=served.max_model_len,
        vllm=own is not None or served.root is not None,
        fixed={name: value for name, value in known.items() if name not in turned},
    )
