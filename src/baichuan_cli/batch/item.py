"""What one line of a batch input asks for, whichever format it came in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

Endpoint = Literal["/v1/chat/completions", "/v1/completions"]


class Message(TypedDict):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One request. Exactly one of `prompt` and `messages` is set.

    Attributes:
        line: its line in the input, counted from 1.
        custom_id: unique in its batch; `line-12` where the input gives none.
        prompt: text, or token ids as they stand.
        messages: a chat that ends with the user's turn.
        sampling: what this line sets, under the names of vLLM's SamplingParams.
        endpoint: the URL of a line in OpenAI's batch format; None for a plain line.
        model: the model that the line names. Another one may answer, and bcli says so.
    """

    line: int
    custom_id: str
    prompt: str | tuple[int, ...] | None
    messages: tuple[Message, ...] | None
    sampling: Mapping[str, object]
    endpoint: Endpoint | None
    model: str | None

    @property
    def fingerprint(self) -> str:
        """Return a digest of everything in the line that decides its answer or the shape of its record."""
        return digest([self.endpoint, self.prompt, self.messages, dict(self.sampling)])


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be answered."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A whole input: what can be answered, and what cannot."""

    items: tuple[BatchItem, ...]
    bad_lines: tuple[BadLine, ...]


def digest(value: object) -> str:
    """Return 16 hexadecimal digits that stand for a JSON value.

    64 bits tell a changed request from the same one under the same id; they are no defence against forgery.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
