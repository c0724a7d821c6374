"""Asking an engine for everything by which it can be judged: a greedy answer, and log-probabilities throughout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from baichuan_cli.engine.request import Completion, Rejection, Request
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.self_check.judge import Reply

ANSWER_TOKENS = 16

#: Log-probabilities a position. vLLM 0.5.0 gives no more by default.
_CANDIDATES = 5

#: Everything that a plan's own sampling may hold is set back: a plain greedy answer, scored and never stopped early.
_SAMPLING = {
    "n": 1,
    "temperature": 0.0,
    "top_p": 1.0,
    "top_k": -1,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "stop": [],
    "stop_token_ids": [],
    "ignore_eos": True,
    "max_tokens": ANSWER_TOKENS,
    "detokenize": False,
    "logprobs": _CANDIDATES,
    "prompt_logprobs": _CANDIDATES,
}


class Answering(Protocol):
    """An engine that answers requests."""

    def run(self, requests: Iterable[Request]) -> Iterator[Completion | Rejection]:
        """Answer requests, in no fixed order."""
        ...


def ask(engine: Answering, prompts: Sequence[tuple[int, ...]]) -> list[Reply]:
    """Ask all prompts at once; return the replies in their order.

    Raises:
        BcliError: the engine fails, or refuses a request.
    """
    requests = [Request(f"self-check-{number}", prompt, _SAMPLING) for number, prompt in enumerate(prompts)]
    found = {outcome.request_id: _reply(outcome, prompts) for outcome in engine.run(requests)}
    return [found[request.request_id] for request in requests]


def _reply(outcome: Completion | Rejection, prompts: Sequence[tuple[int, ...]]) -> Reply:
    if isinstance(outcome, Rejection):
        raise BcliError(
            f"This vLLM gives no log-probabilities to check: {outcome.reason}",
            hint="Compare answers with those of another machine instead.",
            exit_code=ExitCode.ENGINE,
        )
    prompt = prompts[int(outcome.request_id.rpartition("-")[2])]
    [choice] = outcome.choices
    told = [
        (position - 1, token, value)
        for position, candidates in enumerate(outcome.prompt_logprobs or ())
        for token, value in candidates.items()
    ]
    told += [
        (len(prompt) - 1 + step, candidate, value)
        for step, token in enumerate(choice.logprobs or ())
        for candidate, _, value in token.top
    ]
    return Reply(prompt, choice.token_ids, tuple(told))
