"""`bcli bench tune`: settings that are faster here, as a profile with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from baichuan_cli.cli.bench.offline import choose, plan_benchmark, run_path
from baichuan_cli.cli.bench.options import InputLenOption, OutputLenOption
from baichuan_cli.cli.bench.ranges import words
from baichuan_cli.cli.engine_options import takes_engine
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes
from baichuan_cli.cli.stopping import stopping
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.paths import expand_home

if TYPE_CHECKING:
    from baichuan_cli.bench.choose import Wanted
    from baichuan_cli.bench.tune import Goal, Measured, Settings, Trial
    from baichuan_cli.hardware.profile import Profile, Scalar

_PROMPTS = {"throughput": 64, "latency": 1}


@takes_engine
def tune(
    wishes: Wishes,
    goal: Annotated[str, typer.Option(help="throughput, or latency: one request at a time.")] = "throughput",
    only: Annotated[
        str | None, typer.Option(metavar="LIST", help="Try these settings alone, such as enforce_eager,block_size.")
    ] = None,
    input_len: InputLenOption = None,
    output_len: OutputLenOption = None,
    num_prompts: Annotated[
        int | None,
        typer.Option(min=1, help="Prompts a run. Default: 64, or 1 for latency.", rich_help_panel="Load"),
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=4, help="Runs of each value; fewer than 4 show nothing.", rich_help_panel="Runs")
    ] = 5,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The profile. Default: PROFILE-GOAL.yaml here.")
    ] = None,
) -> None:
    """Search for faster settings, and write a profile that extends the one used.

    Each value is measured in an engine of its own. One that changes greedy answers to fixed prompts by more than the
    number format explains is refused, however fast. What was chosen is measured again before it is written.

    bcli bench tune --goal throughput

    bcli bench tune --model baichuan2-7b-chat --goal latency --only enforce_eager,attention_backend
    """
    from baichuan_cli.bench.choose import Wanted
    from baichuan_cli.bench.tune import candidates, chosen_settings, goal_change, search
    from baichuan_cli.bench.tuned_profile import alone, tuned_profile

    out = Output()
    aim = _goal(goal)
    grounded = plan_benchmark(wishes, out, temperature=0.0, prefix_cache=False)
    plan, profile = grounded.plan, grounded.profile
    num_prompts = num_prompts or _PROMPTS[aim]
    wanted = Wanted(input_len=input_len, output_len=output_len, num_prompts=num_prompts)
    choose(wanted, plan)  # what cannot be measured is refused before anything is loaded
    path = run_path(output or Path(f"{profile.name}-{aim}.yaml"), profile.name, ".yaml")
    if path.exists():
        raise BcliError(f"{path} exists.", hint="Give another --output.", exit_code=ExitCode.OUTPUT)
    values = _values(candidates(plan, profile, aim, num_prompts), wishes, only)
    total = sum(map(len, values.values()))
    out.note(f"{total} {'value' if total == 1 else 'values'} of {', '.join(values)}; each starts an engine")

    def attempt(settings: Settings) -> Measured:
        with stopping("Nothing was saved."):
            return _measure(wishes, settings, wanted, repeats)

    baseline = attempt({})
    if baseline.record is None:
        raise BcliError(f"The profile's own settings fail: {baseline.error}", exit_code=ExitCode.ENGINE)
    for mark in baseline.record.marks:
        out.warning(mark)
    out.note(alone(profile, baseline.record, aim))
    dtype = str(plan.settings["dtype"].value)
    trials: list[Trial] = []
    for trial in search(baseline, values, aim, dtype, attempt):
        trials.append(trial)
        out.note(f"[{len(trials)}/{total}] {trial.told}")
    chosen = chosen_settings(trials)
    if not chosen:
        out.text(f"Nothing is better than the profile {profile.name}; no file was written.")
        return
    again, best = attempt({}), attempt(chosen)
    if again.record is None or best.record is None:
        raise BcliError(f"Measured again, it fails: {again.error or best.error}", exit_code=ExitCode.ENGINE)
    confirmed = goal_change(again.record, best.record, aim)
    if confirmed.verdict != "improved":
        out.text(f"Measured again the gain is {confirmed.change:+.1%} ({confirmed.verdict}); no file was written.")
        return
    path.write_text(
        tuned_profile(profile, _extends(wishes, profile), baseline.record, trials, confirmed, aim), encoding="utf-8"
    )
    out.text(str(path))
    out.note(f"{confirmed.change:+.1%} confirmed · use it: --profile {path}")


def _goal(text: str) -> Goal:
    from baichuan_cli.bench.tune import Goal

    for goal in get_args(Goal):
        if goal == text:
            return goal  # type: ignore[no-any-return]
    raise BcliError(f"--goal {text!r} is neither throughput nor latency.")


def _values(
    found: Mapping[str, tuple[Scalar, ...]], wishes: Wishes, only: str | None
) -> dict[str, tuple[Scalar, ...]]:
    """Return the values to try: of the settings that are asked for, and never of one that the person has set.

    Raises:
        BcliError: a setting that is not tried on this hardware, or nothing is left to try.
    """
    names = words(only, "--only") if only is not None else tuple(found)
    if unknown := [name for name in names if name not in found]:
        raise BcliError(f"--only: {unknown[0]} is not tried here.", hint=f"What is: {', '.join(found)}")
    given = {name for name, value in wishes.settings.items() if value is not None}
    given |= {assignment.partition("=")[0].replace("-", "_") for assignment in wishes.assignments}
    values = {name: found[name] for name in names if name not in given and found[name]}
    if not values:
        raise BcliError("No setting is left to try.", hint="Leave options of the engine to the search.")
    return values


def _measure(wishes: Wishes, settings: Settings, wanted: Wanted, repeats: int) -> Measured:
    from baichuan_cli.bench.child import ChildDied, results_of
    from baichuan_cli.bench.tune import Measured
    from baichuan_cli.cli.bench.worker import Runs, measure_trial

    asked = replace(
        wishes, assignments=(*wishes.assignments, *(f"{name}={value}" for name, value in settings.items()))
    )
    try:
        (trial,) = results_of(measure_trial, asked, wanted, Runs(repeats, warmup=1))
    except ChildDied as death:
        return Measured(None, None, f"{death}, perhaps out of memory")
    return trial


def _extends(wishes: Wishes, profile: Profile) -> str:
    """Return the profile that was used as another one can extend it: its name, or the whole path of its file."""
    from baichuan_cli.hardware.files import looks_like_path

    given = wishes.profile
    return str(expand_home(given).resolve()) if given and looks_like_path(given) else profile.name
