"""The part of `bcli doctor` that starts engines: are their answers right, on this hardware and with these settings?

Each engine has a process of its own. One that takes its process down, as a kernel for another card may, is told about
like any other trouble.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from baichuan_cli import paths
from baichuan_cli.cli.doctor_view import ANSWERS
from baichuan_cli.cli.output import Output
from baichuan_cli.doctor.verdict import Verdict, fail, ok, skip, warn
from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from baichuan_cli.cli.planning import Wishes
    from baichuan_cli.plan.model import Plan
    from baichuan_cli.self_check.check import Checked
    from baichuan_cli.self_check.judge import Reply


class Examined(NamedTuple):
    """What came of one model; `checked` is None where its engine could not be judged."""

    verdict: Verdict
    checked: Checked | None = None


NO_VLLM = Examined(skip(ANSWERS, "no engine was started: vLLM is not installed"))


@dataclass(frozen=True, slots=True)
class Told:
    """What an engine's process hands back: replies, or what went wrong."""

    replies: Sequence[Reply] = ()
    error: str = ""
    hint: str = ""


def examine_engines(wishes: Wishes, out: Output) -> list[Examined]:
    """Run the demo models and the model that is asked for, and judge their answers.

    Args:
        wishes: the model may be None; everything else holds for all of them.
        out: shows on a terminal what goes on.
    """
    from baichuan_cli.demo import DEMO_NAMES

    named = [wishes.model] if wishes.model not in (None, *DEMO_NAMES) else []
    return [_examine(replace(wishes, model=model), out, asked_for=model in named) for model in (*DEMO_NAMES, *named)]


def _examine(wishes: Wishes, out: Output, *, asked_for: bool) -> Examined:
    from baichuan_cli.catalog.resolve import require_local
    from baichuan_cli.cli.planning import make_plan

    try:
        plan = make_plan(wishes, purpose="offline").plan
        if refusals := plan.refusals:
            # A card that cannot do ALiBi still runs the 7B models.
            not_run = fail if asked_for else warn
            return Examined(
                not_run(ANSWERS, f"{plan.model.name} was not run: {refusals[0].message}", refusals[0].hint)
            )
        require_local(plan.model)
        return _judge(wishes, plan, out)
    except BcliError as error:
        return Examined(fail(ANSWERS, f"{wishes.model}: {error.message}", error.hint))


def _judge(wishes: Wishes, plan: Plan, out: Output) -> Examined:
    from baichuan_cli.bench.child import ChildDied, results_of
    from baichuan_cli.cli.self_check import judge_planned

    name, begun = plan.model.name, time.perf_counter()
    try:
        with out.status(f"{name}: starting the engine …"):
            [told] = results_of(ask_in_child, wishes)
    except ChildDied as death:
        hint = f"vLLM's last words are in {paths.state_dir()}, in the newest file there."
        return Examined(fail(ANSWERS, f"{name}: {death}, with the engine in it.", hint))
    if told.error:
        return Examined(fail(ANSWERS, f"{name}: {told.error}", told.hint))
    checked = judge_planned(plan, told.replies, out)
    says = f"{name}: {checked.says} ({time.perf_counter() - begun:.0f} s)"
    if checked.coarse:
        return Examined(warn(ANSWERS, says, checked.fix), checked)
    return Examined(ok(ANSWERS, says) if checked.passed else fail(ANSWERS, says, checked.fix), checked)


def ask_in_child(wishes: Wishes) -> Iterator[Told]:
    """Start an engine and ask it the prompts of the self-check; runs in a process of its own.

    Yields:
        What came of it, once.
    """
    from baichuan_cli.cli.engine_run import started
    from baichuan_cli.cli.planning import make_plan
    from baichuan_cli.cli.self_check import ask_planned

    quiet = Output(stdout=io.StringIO(), stderr=io.StringIO())
    try:
        plan = make_plan(wishes, purpose="offline").plan
        with started(plan, quiet, name="doctor", verbose=False) as (engine, _, _):
            replies = ask_planned(plan, engine)
    except BcliError as error:
        yield Told(error=error.message, hint=error.hint)
    else:
        yield Told(replies)
