"""An engine without a model, and the pieces that a batch needs around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import pytest

from baichuan_cli.batch.item import BatchItem
from baichuan_cli.batch.records import RunInfo
from baichuan_cli.engine.request import Choice, Completion, Request
from baichuan_cli.errors import BcliError


class EchoEngine:
    """Answer a prompt with its own tokens, a few requests at a time and the last one first.

    Args:
        stop_after: raise Ctrl-C after this many answers.
    """

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen: list[str] = []
        self.stop_after = stop_after

    def run(self, requests: Iterable[Request]) -> Iterator[Completion]:
        waiting = iter(requests)
        while window := list(islice(waiting, 3)):
            for request in reversed(window):
                if len(self.seen) == self.stop_after:
                    raise KeyboardInterrupt
                self.seen.append(request.request_id)
                yield completion(request)


def completion(request: Request) -> Completion:
    text = "".join(map(chr, request.prompt_token_ids))
    return Completion(
        request_id=request.request_id,
        prompt_tokens=len(request.prompt_token_ids),
        choices=(Choice(index=0, text=text, token_ids=request.prompt_token_ids, finish_reason="stop"),),
        first_token_seconds=None,
        total_seconds=0.25,
    )


@pytest.fixture
def echo_engine() -> type[EchoEngine]:
    return EchoEngine


@pytest.fixture
def encode() -> Callable[[BatchItem], Request]:
    """Code points stand for tokens; a prompt with more than 20 of them does not fit."""

    def encode(item: BatchItem) -> Request:
        prompt = item.prompt if item.messages is None else item.messages[-1]["content"]
        token_ids = tuple(map(ord, prompt)) if isinstance(prompt, str) else prompt
        assert token_ids is not None
        if len(token_ids) > 20:
            raise BcliError(f"The prompt has {len(token_ids)} tokens; the context holds 20.", hint="Shorten it.")
        return Request(item.custom_id, token_ids, item.sampling)

    return encode


@pytest.fixture
def run_info() -> RunInfo:
    return RunInfo(model="demo", settings={"temperature": 0})
