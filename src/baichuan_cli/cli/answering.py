"""What `bcli generate` does with a plan: a few prompts to the screen, or a batch to a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from baichuan_cli.cli.output import Output
from baichuan_cli.cli.stopping import stopping
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.batch.item import BadLine, BatchItem
    from baichuan_cli.batch.run import Answers, BatchResult
    from baichuan_cli.cli.engine_run import Job
    from baichuan_cli.plan.model import Plan


def make_job(plan: Plan, items: tuple[BatchItem, ...], *, chat: bool, system: str | None) -> Job:
    """Turn prompts into token ids, before anything heavy is loaded.

    Raises:
        BcliError: the model is not on this machine, or its tokenizer cannot be used.
    """
    from baichuan_cli.batch.encode import Encoder
    from baichuan_cli.batch.records import RunInfo
    from baichuan_cli.catalog.resolve import require_local
    from baichuan_cli.cli.engine_run import Job
    from baichuan_cli.plan.render import sampling_kwargs
    from baichuan_cli.tokenizer.load import load_tokenizer

    sampling = sampling_kwargs(plan)
    encoder = Encoder(
        tokenizer=load_tokenizer(require_local(plan.model)),
        family=plan.model.chat_family,
        max_model_len=int(str(plan.settings["max_model_len"].value)),
        max_tokens=int(str(sampling["max_tokens"])),
        chat=chat,
        system=system,
    )
    decides = {"model": str(plan.model.path), "sampling": sampling, "chat": chat, "system": system}
    run = RunInfo(plan.model.name, decides)
    return Job(plan, items, encoder.encode_all(items), run, chat)


def answer_prompts(job: Job, out: Output, *, verbose: bool, self_check: bool) -> ExitCode:
    """Answer a few prompts: as text, as one JSON object, or, several answers into a pipe, as a record a line.

    Raises:
        BcliError: a prompt cannot be answered, vLLM failed, or the person stopped it.
    """
    from baichuan_cli.batch.answers import AnswerStream
    from baichuan_cli.batch.run import exit_code
    from baichuan_cli.cli.answers import Collected, Shown
    from baichuan_cli.cli.engine_run import answer

    for item in job.items:
        job.encode(item)  # a prompt that cannot be answered stops here, before the engine starts
    collected = Collected()
    single = len(job.items) == 1 and "n" not in job.plan.sampling
    stream = out.interactive and single

    def open_answers(out: Output) -> Answers:
        if out.json_mode:
            return collected
        if out.interactive or single:
            return Shown(job.items, out, chat=job.chat, streamed=stream)
        return AnswerStream(out.binary)

    with stopping():
        answered = answer(job, out, open_answers, stream=stream, verbose=verbose, self_check=self_check)
    result, ready = answered.result, answered.ready_seconds
    if out.json_mode:
        out.json(
            {
                "schema": "bcli.generate/1",
                **_about(job.plan),
                "results": collected.in_order(job.items),
                "engine_ready_seconds": round(ready, 3),
                "seconds": round(result.seconds, 6),
                **({"self_check": answered.checked.as_json()} if answered.checked else {}),
            }
        )
    elif "logprobs" in job.plan.sampling and (out.interactive or single):
        out.note("the log-probabilities are in the output of --json")
    out.note(f"{result.completion_tokens} tokens in {result.seconds:.1f} s (engine ready in {ready:.1f} s)")
    return exit_code((), result)


def answer_batch(
    job: Job,
    bad_lines: Sequence[BadLine],
    input_path: Path,
    output_path: Path | None,
    out: Output,
    *,
    verbose: bool,
    self_check: bool,
) -> ExitCode:
    """Answer a batch into a file that an interrupted run left or a new one, or as records to standard output.

    Raises:
        BcliError: the output cannot be used, vLLM failed, or the person stopped it; what was answered is kept.
    """
    from baichuan_cli.batch.answers import AnswerStream, open_answers
    from baichuan_cli.batch.run import BatchResult, exit_code
    from baichuan_cli.cli.engine_run import answer

    def run(open_answers: Callable[[Output], Answers]) -> BatchResult:
        return answer(job, out, open_answers, stream=False, verbose=verbose, self_check=self_check).result

    tell_bad_lines(bad_lines, input_path, out)
    if not job.items:
        raise BcliError(f"No line of {input_path} can be answered.", hint="What a line may hold: docs/batch.md")
    if others := {item.model for item in job.items} - {None, job.plan.model.name}:
        named = ", ".join(sorted(map(str, others)))
        out.note(f"lines of {input_path} name other models ({named}); {job.plan.model.name} answers")
    if output_path is None:
        result = run(lambda out: AnswerStream(out.binary))
        out.note(_summary(result))
        return exit_code(bad_lines, result)
    with open_answers(output_path, job.items, job.run, input_path=input_path) as file:
        if not file.locked:
            out.warning(f"{output_path} cannot be locked there: start no second bcli on it.")
        if file.unrelated:
            out.note(
                f"{file.unrelated} answers in {output_path} are to prompts that are not in {input_path}; they stay"
            )
        if len(file.answered) == len(job.items):
            result = BatchResult(total=len(job.items), skipped=len(job.items))
        else:
            again = "Run the same command again: it continues with what is missing."
            with stopping(f"The answers so far are in {output_path}.", again):
                result = run(lambda _: file)
    if out.json_mode:
        out.json({"schema": "bcli.batch/1", **_about(job.plan), **asdict(result), "bad_lines": len(bad_lines)})
    out.note(f"{_summary(result)} · {output_path}")
    return exit_code(bad_lines, result)


def tell_bad_lines(bad_lines: Sequence[BadLine], input_path: Path, out: Output) -> None:
    """Warn of each line that cannot be answered."""
    for bad in bad_lines:
        out.warning(f"{input_path}, line {bad.line}: {bad.reason}")


def _summary(result: BatchResult) -> str:
    parts = [f"{result.done} answered"]
    parts += [f"{result.failed} failed"] if result.failed else []
    parts += [f"{result.skipped} already there"] if result.skipped else []
    if result.seconds:
        rate = result.completion_tokens / result.seconds
        parts.append(f"{result.completion_tokens:,} tokens in {result.seconds:.1f} s, {rate:,.0f} tokens/s")
    return " · ".join(parts)


def _about(plan: Plan) -> dict[str, object]:
    return {"model": plan.model.name, "profile": plan.profile_name, "vllm": str(plan.release)}
