"""Start the engine of a plan, answer with it, and keep vLLM's chatter away meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from baichuan_cli import paths
from baichuan_cli.cli.first_start import first_start_told
from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from baichuan_cli.batch.item import BatchItem
    from baichuan_cli.batch.records import RunInfo
    from baichuan_cli.batch.run import Answers, BatchResult
    from baichuan_cli.engine.offline import OfflineEngine, TextListener
    from baichuan_cli.engine.request import Completion, Rejection, Request
    from baichuan_cli.plan.model import Plan
    from baichuan_cli.self_check.check import Checked


@dataclass(frozen=True, slots=True)
class Job:
    """Prompts as token ids, with the plan to answer them by."""

    plan: Plan
    items: tuple[BatchItem, ...]
    requests: Mapping[str, Request | BcliError]  # by custom_id; an error where a prompt cannot be answered
    run: RunInfo
    chat: bool  # plain prompts are asked in the chat format

    def encode(self, item: BatchItem) -> Request:
        """Return an item's request, or raise what stands against it."""
        request = self.requests[item.custom_id]
        if isinstance(request, BcliError):
            raise request
        return request


@dataclass(frozen=True, slots=True)
class Answered:
    """How a job went. Seconds are wall time; the engine's start is not part of the result's."""

    result: BatchResult
    ready_seconds: float
    checked: Checked | None = None  # what the self-check came to, where it was asked for


@dataclass(frozen=True, slots=True)
class _Streamed:
    """An engine that tells its text as it comes."""

    engine: OfflineEngine
    on_text: TextListener

    def run(self, requests: Iterable[Request]) -> Iterator[Completion | Rejection]:
        return self.engine.run(requests, on_text=self.on_text)


def answer(
    job: Job,
    out: Output,
    open_answers: Callable[[Output], Answers],
    *,
    stream: bool,
    verbose: bool,
    self_check: bool,
) -> Answered:
    """Start the engine, answer what has no answer yet, and stop.

    Args:
        open_answers: makes the place for the answers, given the output to use while vLLM's chatter is kept away.
        stream: show the text of the first answer as it is made.
        self_check: answer only if the engine passes the self-check.

    Raises:
        BcliError: vLLM failed, or its answers are wrong.
        KeyboardInterrupt: the person stopped it; what was answered is kept.
    """
    from baichuan_cli.batch.run import run_batch
    from baichuan_cli.cli.self_check import require_right

    with started(job.plan, out, name="generate", verbose=verbose) as (engine, out, ready_seconds):
        checked = require_right(job.plan, engine, out) if self_check else None
        source = _Streamed(engine, lambda _, text: out.text(text, end="")) if stream else engine
        with _progress(out, len(job.items)) as show:
            result = run_batch(job.items, source, open_answers(out), job.run, encode=job.encode, progress=show)
    return Answered(result, ready_seconds, checked)


class Started(NamedTuple):
    """An engine that is ready, and the output to use while vLLM's chatter is kept away."""

    engine: OfflineEngine
    out: Output
    ready_seconds: float


@contextmanager
def started(plan: Plan, out: Output, *, name: str, verbose: bool) -> Iterator[Started]:
    """Start the engine of a plan in this process, and stop it at the end.

    Args:
        name: of the command, for the log file.
        verbose: show vLLM's log as it comes, instead of keeping it in a file.

    Raises:
        BcliError: vLLM could not start.
    """
    from baichuan_cli.engine.log import divert, new_log_path
    from baichuan_cli.engine.start import start_offline

    log_path = None if verbose else new_log_path(paths.state_dir(), f"{name}-{Path(plan.model.name).name}")
    with divert(log_path) as log:
        out = out.rerouted(log.stdout, log.stderr)
        begun = time.perf_counter()
        with first_start_told(plan, out), out.status("starting the engine …"):
            engine = start_offline(plan, log)
        with closing(engine):
            yield Started(engine, out, time.perf_counter() - begun)


@contextmanager
def _progress(out: Output, total: int) -> Iterator[Callable[[BatchResult], None]]:
    """Show how far a batch of several prompts is, with tokens per second."""
    if total == 1:
        yield lambda _: None
        return
    with out.progress() as bar:
        task = bar.add_task("answering", total=total, rate="")

        def show(result: BatchResult) -> None:
            rate = f"{result.completion_tokens / max(result.seconds, 1e-9):,.0f} tokens/s"
            bar.update(task, completed=result.done + result.failed + result.skipped, rate=rate)

        yield show
