"""From the options of a command to a Plan, by way of the model, the profile, this machine and the installed vLLM."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from baichuan_cli import paths
from baichuan_cli.catalog.model import Model
from baichuan_cli.errors import BcliError, ExitCode

if TYPE_CHECKING:
    from baichuan_cli.cli.output import Output
    from baichuan_cli.hardware.detect import Detection
    from baichuan_cli.hardware.machine import Machine
    from baichuan_cli.hardware.profile import Profile
    from baichuan_cli.plan.draft import Purpose
    from baichuan_cli.plan.layers import Configuration
    from baichuan_cli.plan.model import Layer, Plan
    from baichuan_cli.plan.release import Release

_DEFAULT_MODEL = "demo"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says; None and absent mean that it says nothing."""

    model: str | Model | None = None  # a Model is planned for as it is, whatever lies on this machine
    profile: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)  # names of vLLM's EngineArgs
    assignments: Sequence[str] = ()  # "NAME=VALUE"
    sampling: Mapping[str, object] = field(default_factory=dict)  # names of vLLM's SamplingParams
    vllm_version: str | None = None
    force: bool = False
    fast_start: bool = False
    preferred: Layer | None = None  # what the command itself prefers; config.yaml and everything after it win


class Planned(NamedTuple):
    """A plan, and the line that stands above everything done with it."""

    plan: Plan
    headline: str


class Grounded(NamedTuple):
    """A plan with its headline, and the hardware that it was made for."""

    plan: Plan
    headline: str
    profile: Profile
    machine: Machine


def make_plan(wishes: Wishes, *, purpose: Purpose) -> Planned:
    """Return the plan; it may hold refusals, and the model may not be on this machine.

    Raises:
        BcliError: an unknown model, profile or setting, a damaged file, or no vLLM here and none named.
    """
    grounded = make_grounded_plan(wishes, purpose=purpose)
    return Planned(grounded.plan, grounded.headline)


def make_grounded_plan(wishes: Wishes, *, purpose: Purpose) -> Grounded:
    """Return the plan, as `make_plan` does, and the profile and the machine besides.

    Raises:
        BcliError: as `make_plan`.
    """
    from baichuan_cli.hardware.detect import detect

    detection = detect()
    return ground(wishes, detection, detection.machine, purpose)


def make_server_plans(wishes: Wishes, replicas: int) -> tuple[list[Plan], str]:
    """Return a plan for each of several servers that share this machine, or for the one that has it all; a headline.

    Raises:
        BcliError: as `make_plan`.
    """
    from baichuan_cli.hardware.detect import detect
    from baichuan_cli.hardware.share import share
    from baichuan_cli.plan.replicas import for_replica

    detection = detect()
    plans = []
    for part in range(replicas):
        made = ground(wishes, detection, share(detection.machine, replicas), "server")
        several = for_replica(made.plan, made.profile, detection.machine, os.environ, part, replicas)
        plans.append(several if replicas > 1 else made.plan)
    return plans, made.headline


def ground(wishes: Wishes, detection: Detection, machine: Machine, purpose: Purpose) -> Grounded:
    """Return the plan, as `make_grounded_plan` does, for what was detected before.

    Raises:
        BcliError: as `make_plan`.
    """
    from baichuan_cli.catalog.resolve import resolve_model
    from baichuan_cli.hardware.files import user_profiles_dir
    from baichuan_cli.hardware.load import load_profile
    from baichuan_cli.plan.draft import Start
    from baichuan_cli.plan.resolve import resolve

    _refuse_nonsense(wishes)
    model = chosen_model(wishes.model)
    profile = chosen_profile(wishes.profile)
    cache_dir = paths.own_cache_dir()
    loaded = load_profile(profile or detection.profile_name, user_dir=user_profiles_dir())
    plan = resolve(
        model if isinstance(model, Model) else resolve_model(model),
        loaded,
        _release(wishes.vllm_version),
        machine,
        layers(wishes),
        force=wishes.force,
        purpose=purpose,
        start=Start(wishes.fast_start, str(cache_dir.absolute()) if cache_dir else None),
    )
    headline = _headline(plan, "" if profile else f" ({detection.reason})")
    return Grounded(plan, headline, loaded, machine)


def chosen_model(named: str | Model | None) -> str | Model:
    """Return the model that is asked for, by an option, `BCLI_MODEL` or `config.yaml`; otherwise the demo."""
    return named or os.environ.get("BCLI_MODEL") or _configuration().model or _DEFAULT_MODEL


def chosen_profile(named: str | None) -> str | None:
    """Return the profile that is asked for, by an option, `BCLI_PROFILE` or `config.yaml`; None: what is detected."""
    return named or os.environ.get("BCLI_PROFILE") or _configuration().profile


def layers(wishes: Wishes) -> tuple[Layer, ...]:
    """Return what is asked for, in rising precedence: the command's own, `config.yaml`, `BCLI_*`, the command line.

    Raises:
        BcliError: an unknown setting, or a value that makes no sense.
    """
    from baichuan_cli.plan.layers import from_assignments, from_command_line, from_environment

    return (
        *([wishes.preferred] if wishes.preferred else []),
        _configuration().layer,
        *from_environment(os.environ),
        *from_command_line(wishes.settings, wishes.sampling),
        *from_assignments(wishes.assignments),
    )


def _refuse_nonsense(wishes: Wishes) -> None:
    for option, value in (("--model", wishes.model), ("--profile", wishes.profile)):
        if isinstance(value, str) and not value.strip():
            raise BcliError(f"{option} is empty.", hint="Give a name or a path, or leave the option out.")
    given = {name for name, value in wishes.settings.items() if value is not None}
    for assignment in wishes.assignments:
        name = assignment.partition("=")[0].strip().replace("-", "_")
        if name in given:
            raise BcliError(
                f"{name} is given twice.", hint=f"Leave --set {assignment} or --{name.replace('_', '-')} out."
            )


def _configuration() -> Configuration:
    from baichuan_cli.plan.layers import from_config
    from baichuan_cli.yaml_file import read_mapping

    path = paths.config_dir() / "config.yaml"
    return from_config(read_mapping(path) if path.exists() else None)


def _release(wanted: str | None) -> Release:
    from baichuan_cli.engine.installed import installed_release
    from baichuan_cli.plan.release import Release

    if wanted is not None:
        return Release.parse(wanted)
    installed = installed_release()
    if installed is None:
        raise BcliError(
            "vLLM is not installed in this Python environment.",
            hint="In the folder of bcli's source: make demo (CPU), or pip install '.[cuda]' (NVIDIA).\n"
            "On a DCU or AMD card use the vendor's image and install bcli into it.\n"
            "To see a plan only: --explain --vllm-version 0.5.0",
            exit_code=ExitCode.ENGINE,
        )
    return installed


def _headline(plan: Plan, why_profile: str) -> str:
    dtype = str(plan.settings["dtype"].value)
    return " · ".join((plan.model.name, f"{plan.profile_name} profile{why_profile}", f"vLLM {plan.release}", dtype))


def check(plan: Plan, out: Output) -> None:
    """Say the plan's warnings, and refuse what it refuses.

    Raises:
        BcliError: the plan holds refusals; all of them are told.
    """
    from baichuan_cli.plan.explain import refusal

    for warning in plan.warnings:
        out.warning(warning.message, hint=warning.hint)
    if refused := refusal(plan):
        raise refused


def show_explanation(plan: Plan, out: Output) -> None:
    """Show every setting with its source and reason, and the findings."""
    from baichuan_cli.plan.explain import COLUMNS, as_json, explain, finding_lines

    if out.json_mode:
        out.json(as_json(plan))
        return
    out.table(COLUMNS, explain(plan))
    for line in finding_lines(plan):
        out.text(line)


def show_dry_run(plan: Plan, out: Output) -> None:
    """Show what vLLM would be given: environment variables and keyword arguments."""
    from baichuan_cli.plan.render import environment, llm_kwargs, sampling_kwargs

    if out.json_mode:
        out.json(
            {
                "schema": "bcli.dry-run/1",
                "vllm": str(plan.release),
                "environment": environment(plan),
                "llm": llm_kwargs(plan),
                "sampling_params": sampling_kwargs(plan),
            }
        )
        return
    for name, value in environment(plan).items():
        out.text(f"{name}={value}")
    out.text(_call("vllm.LLM", llm_kwargs(plan)))
    out.text(_call("vllm.SamplingParams", sampling_kwargs(plan)))


def _call(name: str, arguments: Mapping[str, object]) -> str:
    lines = "".join(f"    {argument}={value!r},\n" for argument, value in arguments.items())
    return f"{name}(\n{lines})"
