"""`bcli doctor`: is everything here that bcli needs, and if not, what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from baichuan_cli.cli.options import JsonOption
from baichuan_cli.cli.output import Output

if TYPE_CHECKING:
    from baichuan_cli.doctor.facts.choice import Choice
    from baichuan_cli.doctor.facts.everything import Facts
    from baichuan_cli.hardware.detect import Detection
    from baichuan_cli.plan.release import Release


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server whether it answers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at everything that bcli needs here: what is well, what is not, and how to mend it.

    Exit status: 0 where all is well, 1 with warnings, 2 where bcli cannot run.
    """
    from baichuan_cli.cli.doctor_view import as_json_object, show
    from baichuan_cli.doctor.checks import examine
    from baichuan_cli.doctor.verdict import exit_status

    out = Output(json_mode=as_json)
    facts = gather_facts(out, offline=offline)
    verdicts = examine(facts)
    if as_json:
        out.json(as_json_object(facts, verdicts))
    else:
        show(facts, verdicts, out)
    raise typer.Exit(exit_status(verdicts))


def gather_facts(out: Output, *, offline: bool) -> Facts:
    """Look at this machine and its software."""
    from baichuan_cli.doctor.facts.everything import gather
    from baichuan_cli.doctor.surroundings import Surroundings
    from baichuan_cli.engine.installed import installed_release
    from baichuan_cli.hub.store import default_store

    with out.status("looking at this machine, and importing vLLM as a trial …"):
        return gather(Surroundings(), default_store(), installed_release(), choose, offline=offline)


def choose(detection: Detection, release: Release | None) -> Choice:
    """Return the profile and the plan that commands would use with this hardware when nothing else is asked for."""
    from baichuan_cli.cli.planning import Wishes, ground
    from baichuan_cli.doctor.facts.choice import Choice
    from baichuan_cli.errors import BcliError
    from baichuan_cli.plan.releases import NEWEST

    wishes = Wishes(vllm_version=str(release) if release else NEWEST)
    try:
        # Without vLLM there is a profile all the same; what a plan for another release says would not hold here.
        made = ground(wishes, detection, detection.machine, "offline")
    except BcliError as problem:
        return Choice(detection.profile_name, None, detection.reason, problem=problem)
    why = detection.reason
    if made.profile.name != detection.profile_name:
        why = f"BCLI_PROFILE or config.yaml names it; detected is {detection.profile_name} ({detection.reason})"
    return Choice(made.profile.name, made.profile.kind, why, made.plan if release else None)
