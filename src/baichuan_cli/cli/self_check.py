"""Ask an engine the prompts of the self-check and say what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.plan.model import Plan
    from baichuan_cli.self_check.ask import Answering
    from baichuan_cli.self_check.check import Checked
    from baichuan_cli.self_check.judge import Reply


def ask_planned(plan: Plan, engine: Answering) -> list[Reply]:
    """Return what the running engine of a plan replies to the prompts of the self-check.

    Raises:
        BcliError: the engine fails, or gives no log-probabilities.
    """
    from baichuan_cli.catalog.resolve import require_local
    from baichuan_cli.self_check.ask import ask
    from baichuan_cli.self_check.probe import prompts_for
    from baichuan_cli.tokenizer.load import load_tokenizer

    tokenizer = load_tokenizer(require_local(plan.model))
    return ask(engine, prompts_for(tokenizer, int(str(plan.settings["max_model_len"].value))))


def judge_planned(plan: Plan, replies: Sequence[Reply], out: Output) -> Checked:
    """Judge the replies of a plan's engine; on a terminal, show how far the float32 pass is.

    Raises:
        BcliError: the weights cannot be read, or the float32 pass is not to be believed.
    """
    from baichuan_cli.self_check.check import check

    layers = plan.model.architecture.num_hidden_layers
    with out.status(f"{plan.model.name}: comparing with float32 …") as show:
        return check(plan, replies, lambda layer: show(f"{plan.model.name}: float32, layer {layer + 1} of {layers} …"))


def require_right(plan: Plan, engine: Answering, out: Output) -> Checked:
    """Make sure that a running engine answers rightly before it is used.

    Raises:
        BcliError: it does not, or it cannot be told.
    """
    with out.status("asking the prompts of the self-check …"):
        replies = ask_planned(plan, engine)
    checked = judge_planned(plan, replies, out)
    if not checked.passed:
        raise BcliError(
            f"Self-check of {plan.model.name}: {checked.says}.", hint=checked.fix, exit_code=ExitCode.WRONG
        )
    if checked.coarse:
        out.warning(f"self-check: {checked.says}", hint=checked.fix)
    else:
        out.note(f"self-check: {checked.says}")
    return checked
