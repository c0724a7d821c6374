"""Drive an engine through a batch: each item becomes a request, each completion a line, whatever the order."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from baichuan_cli.batch.item import BadLine, BatchItem
from baichuan_cli.batch.records import Record, RunInfo, answer_record, failure_record
from baichuan_cli.engine.request import Completion, Rejection, Request
from baichuan_cli.errors import BcliError, ExitCode


class Engine(Protocol):
    """What answers requests."""

    def run(self, requests: Iterable[Request]) -> Iterator[Completion | Rejection]:
        """Yield each request's completion when it is finished, in any order; take requests as room allows."""


class Answers(Protocol):
    """What takes the records: a file, a stream or the screen."""

    @property
    def answered(self) -> Collection[str]:
        """Return the ids that need no answer any more."""

    def write(self, record: Record) -> None:
        """Keep one record, at once."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How far a batch has come; the tokens and the seconds are those of this run.

    Attributes:
        total: items in the batch.
        done: answered by this run.
        failed: could not be answered by this run; they have a record that says why.
        skipped: answered by an earlier run.
        seconds: wall time since the run began.
    """

    total: int
    done: int = 0
    failed: int = 0
    skipped: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


def run_batch(
    items: Sequence[BatchItem],
    engine: Engine,
    answers: Answers,
    run: RunInfo,
    *,
    encode: Callable[[BatchItem], Request],
    progress: Callable[[BatchResult], None],
) -> BatchResult:
    """Answer every item that has no answer yet, and write each answer as soon as it is there.

    An exception on the way, Ctrl-C among them, leaves everything written so far whole in `answers`.

    Args:
        encode: makes the request of an item; called when the engine has room for it. Its request_id must be unique.
            A BcliError from it, such as for a prompt longer than the context, fails that item alone.
        progress: is called after each record with the state so far.
    """
    began = time.monotonic()
    missing = [item for item in items if item.custom_id not in answers.answered]
    result = BatchResult(total=len(items), skipped=len(items) - len(missing))
    waiting: dict[str, BatchItem] = {}

    def advance(record: Record, *, done: int = 0, failed: int = 0, completion: Completion | None = None) -> None:
        nonlocal result
        answers.write(record)
        result = replace(
            result,
            done=result.done + done,
            failed=result.failed + failed,
            prompt_tokens=result.prompt_tokens + (completion.prompt_tokens if completion else 0),
            completion_tokens=result.completion_tokens + (completion.completion_tokens if completion else 0),
            seconds=time.monotonic() - began,
        )
        progress(result)

    def requests() -> Iterator[Request]:
        for item in missing:
            try:
                request = encode(item)
            except BcliError as error:
                advance(failure_record(item, error, run), failed=1)
            else:
                waiting[request.request_id] = item
                yield request

    for outcome in engine.run(requests()):
        item = waiting.pop(outcome.request_id)
        if isinstance(outcome, Rejection):
            rejected = BcliError(f"vLLM does not take this prompt: {outcome.reason}")
            advance(failure_record(item, rejected, run), failed=1)
        else:
            advance(answer_record(item, outcome, run), done=1, completion=outcome)
    for item in waiting.values():
        lost = BcliError("The engine finished without an answer to this prompt.", exit_code=ExitCode.ENGINE)
        advance(failure_record(item, lost, run), failed=1)
    return replace(result, seconds=time.monotonic() - began)


def exit_code(bad_lines: Sequence[BadLine], result: BatchResult) -> ExitCode:
    """Return what a finished batch exits with: USAGE for bad lines in the input, PARTIAL for items that failed."""
    if bad_lines:
        return ExitCode.USAGE
    return ExitCode.PARTIAL if result.failed else ExitCode.OK
