"""Measure an engine in this process: throughput by stages, and latency at given batch sizes.

Time is wall time around all requests of a pass. Tokens are counted as the engine reports them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from baichuan_cli.bench.workload import Prompt, Workload
from baichuan_cli.engine.offline import TextListener
from baichuan_cli.engine.request import Completion, Rejection, Request
from baichuan_cli.errors import BcliError, ExitCode


class Answering(Protocol):
    """What is measured: an engine."""

    def run(
        self, requests: Iterable[Request], *, on_text: TextListener | None = None
    ) -> Iterator[Completion | Rejection]:
        """Answer requests as they finish."""
        ...


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over prompts: everything that was answered, in how many seconds."""

    seconds: float
    completions: tuple[Completion, ...]

    @property
    def prompt_tokens(self) -> int:
        """Return the tokens of all prompts, as the engine counts them."""
        return sum(completion.prompt_tokens for completion in self.completions)

    @property
    def output_tokens(self) -> int:
        """Return the tokens of all answers."""
        return sum(completion.completion_tokens for completion in self.completions)

    @property
    def cached_tokens(self) -> int | None:
        """Return the prompt tokens that came from the prefix cache; None where the engine does not say."""
        cached = [completion.cached_tokens for completion in self.completions]
        return sum(each for each in cached if each) if any(each is not None for each in cached) else None


def run_pass(
    engine: Answering, prompts: Sequence[Prompt], *, output_len: int | None = None, stream: bool = False
) -> Pass:
    """Answer all prompts at once.

    Args:
        output_len: tokens of every answer, instead of what the prompts ask for.
        stream: have the engine tell of every token, so that the first one's time is known.

    Raises:
        BcliError: the engine refuses a prompt, or fails.
    """
    requests = [_request(number, prompt, output_len) for number, prompt in enumerate(prompts)]
    started = time.perf_counter()
    answers = list(engine.run(requests, on_text=_heard if stream else None))
    seconds = time.perf_counter() - started
    for answer in answers:
        if isinstance(answer, Rejection):
            raise BcliError(f"vLLM refuses a prompt: {answer.reason}", exit_code=ExitCode.ENGINE)
    return Pass(seconds, tuple(answer for answer in answers if isinstance(answer, Completion)))


def _heard(request_id: str, text: str) -> None:
    """Take notice of new text, which is all that asking for it is for."""


def _request(number: int, prompt: Prompt, output_len: int | None) -> Request:
    length = output_len or prompt.output_tokens
    fixed = {"max_tokens": length, "ignore_eos": True, "stop_token_ids": []}
    return Request(str(number), prompt.token_ids, {**prompt.sampling, **fixed})


@dataclass(frozen=True, slots=True)
class Throughput:
    """What the repeats of a throughput run took. Prefill is the same prompts answered with one token each."""

    warmup_seconds: float | None
    whole: tuple[Pass, ...]
    prefill: tuple[Pass, ...]  # one for each of `whole`; empty where the answers have one token anyway


def measure_throughput(engine: Answering, workload: Workload, count: int, *, repeats: int, warmup: int) -> Throughput:
    """Answer the workload's prompts several times, after passes of the full shape that are not counted.

    Every pass draws its own prompts: even where a cache is on, no random prompt comes twice.

    Raises:
        BcliError: the workload has too few prompts, or the engine fails.
    """
    started = time.perf_counter()
    for number in range(warmup):
        run_pass(engine, workload.draw(count, turn=-1 - number))
    warmup_seconds = time.perf_counter() - started if warmup else None
    whole, prefill = [], []
    for number in range(repeats):
        whole.append(run_pass(engine, workload.draw(count, turn=2 * number)))
        first_only = all(completion.completion_tokens == 1 for completion in whole[-1].completions)
        if not (first_only or workload.nominal):
            prefill.append(run_pass(engine, workload.draw(count, turn=2 * number + 1), output_len=1))
    return Throughput(warmup_seconds, tuple(whole), tuple(prefill))


@dataclass(frozen=True, slots=True)
class BatchLatency:
    """Latencies of one batch size, in seconds, one for each request of each repeat."""

    batch_size: int
    first_token: tuple[float, ...]
    per_output_token: tuple[float, ...]  # empty where the answers have one token
    whole: tuple[float, ...]
    batch: tuple[Pass, ...]


def measure_latency(
    engine: Answering, workload: Workload, batch_size: int, *, repeats: int, warmup: int
) -> BatchLatency:
    """Answer one batch at a time and note when each answer's first token and its last came.

    Raises:
        BcliError: the workload has too few prompts, or the engine fails.
    """
    for number in range(warmup):
        run_pass(engine, workload.draw(batch_size, turn=-1 - number), stream=True)
    passes = tuple(run_pass(engine, workload.draw(batch_size, turn=number), stream=True) for number in range(repeats))
    answers = [completion for each in passes for completion in each.completions]
    return BatchLatency(
        batch_size,
        first_token=tuple(_first(completion) for completion in answers),
        per_output_token=tuple(
            (completion.total_seconds - _first(completion)) / (completion.completion_tokens - 1)
            for completion in answers
            if completion.completion_tokens > 1
        ),
        whole=tuple(completion.total_seconds for completion in answers),
        batch=passes,
    )


def _first(completion: Completion) -> float:
    assert completion.first_token_seconds is not None, "the pass was streamed"
    return completion.first_token_seconds
