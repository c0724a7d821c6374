"""Send requests at their times, and note what comes back when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

from baichuan_cli.engine.server_error import ServerError

if TYPE_CHECKING:
    from baichuan_cli.bench.workload import Prompt
    from baichuan_cli.engine.client import Client


@dataclass(slots=True)
class Sample:
    """One request. Times in seconds since the start of the run; latencies since the request was sent."""

    due: float
    started: float = 0.0  # when the client got to it; later than due only where the client itself fell behind
    sent: float = 0.0  # later than started only where `max_concurrency` held it back
    chunks: list[float] = field(default_factory=list)  # latency of every piece of the answer
    finished: float | None = None  # latency of the whole answer; None where it failed
    prompt_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int | None = None
    estimated: bool = False  # the server did not tell tokens, so they are the pieces
    error: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the whole answer came."""
        return self.finished is not None and bool(self.chunks)

    @property
    def tpot(self) -> float | None:
        """Return the seconds a token after the first; None for answers of one token."""
        if self.output_tokens < 2:
            return None
        return (self.chunks[-1] - self.chunks[0]) / (self.output_tokens - 1)


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked, and how.

    Attributes:
        sampling: sent with every request.
        max_concurrency: requests that are under way at the same time at most; None for no limit.
    """

    model: str
    endpoint: str  # "completions": token ids; "chat": text
    sampling: Mapping[str, object]
    max_concurrency: int | None = None


async def send_load(
    client: Client,
    target: Target,
    prompts: Sequence[Prompt],
    due: Sequence[float],
    *,
    on_done: Callable[[Sample], None] = lambda _: None,
) -> list[Sample]:
    """Send every prompt at its time and return what became of each, in their order.

    A request that fails is a sample with an error; it stops nothing.
    """
    limit = asyncio.Semaphore(target.max_concurrency or len(prompts))
    samples = [Sample(time) for time in due]
    begun = perf_counter()

    async def answer(sample: Sample, prompt: Prompt) -> None:
        sample.started = perf_counter() - begun
        async with limit:
            sample.sent = perf_counter() - begun
            await _ask(client, target, prompt, sample)
        on_done(sample)

    tasks = []
    try:
        for sample, prompt in zip(samples, prompts, strict=True):
            if (wait := begun + sample.due - perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(answer(sample, prompt)))
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:  # does nothing to those that are done
            task.cancel()
    return samples


async def _ask(client: Client, target: Target, prompt: Prompt, sample: Sample) -> None:
    from baichuan_cli.engine.client import Delta

    sampling = {**target.sampling, **prompt.sampling, "max_tokens": prompt.output_tokens}
    if target.endpoint == "chat":
        messages = prompt.messages or ({"role": "user", "content": prompt.text or ""},)
        events = client.chat(
            target.model, [{"role": each["role"], "content": each["content"]} for each in messages], sampling
        )
    else:
        events = client.complete(target.model, prompt.token_ids, sampling)
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Delta):
                    sample.chunks.append(event.seconds)
                    continue
                sample.estimated = event.usage is None
                if event.usage is not None:
                    sample.prompt_tokens = event.usage.prompt_tokens
                    sample.output_tokens = event.usage.completion_tokens
                    sample.cached_tokens = event.usage.cached_tokens
                else:
                    sample.prompt_tokens, sample.output_tokens = len(prompt.token_ids), len(sample.chunks)
                if sample.chunks:
                    sample.finished = sample.chunks[-1]
                else:
                    sample.error = "The answer was empty."
    except ServerError as error:
        sample.error = _kind(error)


def _kind(error: ServerError) -> str:
    """Return an error without what differs from request to request."""
    return error.message.splitlines()[0][:200]
