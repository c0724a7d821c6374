"""`bcli doctor`: is everything here that bcli needs, and if not, what to do about it."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baichuan_cli import paths
from baichuan_cli.cli.options import JsonOption, ModelOption, ProfileOption, SetOption
from baichuan_cli.cli.output import Output
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.doctor.facts.choice import Choice
    from baichuan_cli.doctor.facts.everything import Facts
    from baichuan_cli.doctor.verdict import Verdict
    from baichuan_cli.hardware.detect import Detection
    from baichuan_cli.plan.release import Release


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server whether it answers.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also write one text to attach to a question, with tokens, keys, names and home folders blacked out.",
        ),
    ] = None,
    engine: Annotated[
        bool,
        typer.Option(
            "--engine", help="Also run the demo models, and --model, and compare their answers with float32: a minute."
        ),
    ] = False,
    model: ModelOption = None,
    profile: ProfileOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong on this machine, and how to mend it.

    bcli doctor

    bcli doctor --engine

    bcli doctor --report report.txt

    Exit status: 0 where all is well, 1 with warnings, 2 where bcli cannot run.
    """
    from baichuan_cli.cli.doctor_engine import NO_VLLM, examine_engines
    from baichuan_cli.cli.doctor_view import as_json_object, show
    from baichuan_cli.cli.planning import Wishes
    from baichuan_cli.doctor.checks import examine
    from baichuan_cli.doctor.verdict import exit_status

    out = Output(json_mode=as_json)
    if report is not None:
        check_report(report)
    if not engine and (model or profile or assignments):
        raise BcliError("--model, --profile and --set are about an engine.", hint="Add --engine.")
    facts = gather_facts(out, offline=offline)
    examined = []
    if engine:
        wishes = Wishes(model=model, profile=profile, assignments=assignments or ())
        examined = examine_engines(wishes, out) if facts.release else [NO_VLLM]
    verdicts = (*examine(facts), *(one.verdict for one in examined))
    if as_json:
        judged = [one.checked.as_json() for one in examined if one.checked]
        out.json({**as_json_object(facts, verdicts), **({"self_check": judged} if engine else {})})
    else:
        show(facts, verdicts, out)
    if report is not None:
        save_report(report, facts, verdicts)
        out.note(f"The report is in {report}. Read it before you send it.")
    raise typer.Exit(exit_status(verdicts))


def gather_facts(out: Output, *, offline: bool) -> Facts:
    """Look at this machine and its software."""
    from baichuan_cli.doctor.facts.everything import gather
    from baichuan_cli.doctor.surroundings import Surroundings
    from baichuan_cli.engine.installed import installed_release
    from baichuan_cli.hub.store import default_store

    with out.status("looking at this machine, and importing vLLM as a trial …"):
        return gather(Surroundings(), default_store(), installed_release(), choose, offline=offline)


def check_report(path: Path) -> None:
    """Make sure, before it takes time, that a report can be written there and replaces nothing but a report.

    Raises:
        BcliError: it is no place for a report.
    """
    from baichuan_cli.doctor.report import TITLE

    if not path.parent.is_dir():
        raise BcliError(f"There is no folder {path.parent}.", hint="Give another path.", exit_code=ExitCode.OUTPUT)
    if not path.exists():
        return
    if not path.is_file() or not path.read_bytes().startswith(TITLE.encode()):
        raise BcliError(
            f"{path} is there already, and is no report of bcli's.",
            hint="Give another path; only reports are replaced.",
            exit_code=ExitCode.OUTPUT,
        )


def save_report(path: Path, facts: Facts, verdicts: Sequence[Verdict]) -> None:
    """Write the report, blacked out.

    Raises:
        OSError: it cannot be written.
    """
    from baichuan_cli.atomic_file import replace_file
    from baichuan_cli.doctor.black_out import black_out, private_of
    from baichuan_cli.doctor.report import write_report

    environment = dict(os.environ)
    private = private_of(environment, user=_account(), home=str(paths.expand_home("~")), host=platform.node())
    replace_file(path, black_out(write_report(facts, verdicts, environment), private).encode())


def _account() -> str:
    """Return the account's name; empty where its number has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return ""


def choose(detection: Detection, release: Release | None) -> Choice:
    """Return the profile and the plan that commands would use with this hardware when nothing else is asked for."""
    from baichuan_cli.cli.planning import Wishes, ground
    from baichuan_cli.doctor.facts.choice import Choice
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
