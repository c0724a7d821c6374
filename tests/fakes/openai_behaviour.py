"""How the fake OpenAI server behaves, and what it has seen."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"  # the answer to everything, a character a token
MAX_MODEL_LEN = 4096
#: Counters of `/metrics`, by vLLM's names without `vllm:` and `_total`.
COUNTERS = ("prompt_tokens", "generation_tokens", "request_success", "prefix_cache_queries", "prefix_cache_hits")


class Fault(Enum):
    """What goes wrong with a request."""

    # After `Behaviour.fault_after` tokens:
    CUT = "cut"  # the connection breaks
    SILENT_END = "silent-end"  # the stream ends properly, without finish_reason and [DONE]
    MALFORMED = "malformed"  # an event that is no JSON
    ERROR_EVENT = "error-event"
    STALL = "stall"  # no further token, the connection stays
    # At the end:
    NO_DONE = "no-done"  # the stream ends with finish_reason and without [DONE]
    NO_END = "no-end"  # the connection stays open after [DONE]

    # Instead of an answer:
    UNAUTHORIZED = "401"
    NOT_FOUND = "404"
    RATE_LIMITED = "429"
    FAILED = "500"
    NOT_JSON = "502"
    HANG = "hang"  # never an answer
    DROP = "drop"  # the connection is closed without an answer


@dataclass(frozen=True)
class Behaviour:
    """How requests are answered."""

    first_token_seconds: float = 0.0  # from the arrival of the request
    token_seconds: float = 0.0  # between tokens
    tokens: int | None = None  # an answer; None for the request's max_tokens
    text: str | None = None  # an answer that ends by itself, a character a token; None for POEM over and over
    cached_tokens: int | None = None  # of each prompt
    together: int = 1  # no answer begins before so many requests have come
    go_on: threading.Event | None = None  # before it is set no token from `held_from` on is sent
    held_from: int = 1  # counted from 0
    fault: Fault | None = None
    fault_every: int = 1  # the fault happens to one request in this many: the n-th, the 2n-th, …
    fault_after: int = 0  # tokens
    retry_after: int | None = None  # seconds, the header of a 429
    flat_errors: bool = False  # {"object": "error", "message": …} as vLLM up to 0.10.0
    rejected_fields: frozenset[str] = frozenset()  # of a request's body, answered with 400 as vLLM 0.5.0 does
    crlf: bool = False  # lines end with \r\n
    comments: bool = False  # a comment before every event, as proxies send to keep a connection


@dataclass
class Recorded:
    """A request as it came, and what became of it."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    arrived: float  # time.perf_counter()
    connection: int = 0  # the client's port
    sent_tokens: int = 0
    disconnected: bool = False  # the client went before the answer was whole
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass
class FakeServer:
    """The server's state. `behaviour` may be changed between requests; `requests` are the POSTs, in order."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    models: tuple[str, ...] = ("demo",)
    api_key: str | None = None
    max_model_len: int = MAX_MODEL_LEN
    url: str = ""  # with /v1
    requests: list[Recorded] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))

    @property
    def running(self) -> int:
        """Return how many answers have begun and not ended."""
        return sum(not request.ended.is_set() and request.sent_tokens > 0 for request in self.requests)

    @property
    def waiting(self) -> int:
        """Return how many answers have not begun."""
        return sum(not request.ended.is_set() and not request.sent_tokens for request in self.requests)
