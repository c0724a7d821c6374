"""Model × profile × release × what a person asks for: every setting decided, with where it came from and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from types import MappingProxyType

from baichuan_cli.catalog.model import Model
from baichuan_cli.errors import ExitCode
from baichuan_cli.hardware.fit import fit
from baichuan_cli.hardware.machine import Machine
from baichuan_cli.hardware.profile import Preference, Profile
from baichuan_cli.plan.draft import Draft, Purpose, follow
from baichuan_cli.plan.model import Finding, Layer, Plan, Setting, SettingValue
from baichuan_cli.plan.release import Release
from baichuan_cli.plan.releases import ATTENTION_CONFIG
from baichuan_cli.plan.rules import RULES, WATCHED_VARIABLES
from baichuan_cli.plan.sampling import resolve_sampling
from baichuan_cli.plan.settings import ENGINE, read

_VLLM = "vLLM default"
_MODEL = "model"
_BACKEND = "VLLM_ATTENTION_BACKEND"

_VLLM_DEFAULTS: Mapping[str, SettingValue] = {
    "dtype": "auto",
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "gpu_memory_utilization": 0.9,
    "seed": 0,
}


def resolve(
    model: Model,
    profile: Profile,
    release: Release,
    machine: Machine,
    layers: Sequence[Layer] = (),
    *,
    force: bool = False,
    purpose: Purpose = "offline",
) -> Plan:
    """Decide every setting.

    Later sources win: vLLM's default, the profile, the model, then the layers in their order. The rules then set what
    a person left open and speak up about what they asked for.

    Args:
        model: the checkpoint.
        profile: what the hardware can do and prefers.
        release: the vLLM that will run.
        machine: the machine it will run on; a profile about other hardware plans for a machine that is not here.
        layers: what a person asks for, in rising precedence.
        force: turn refusals about capability into warnings.
        purpose: an engine in this process, or a server.

    Returns:
        The plan. It says in its `findings` whether it may be used.
    """
    profile = fit(profile, machine)
    draft = _draft(model, profile, release, machine, layers, purpose, chosen_size=None)
    ruled = reduce(lambda so_far, rule: follow(rule, so_far), RULES, draft)
    size = ruled.settings["tensor_parallel_size"]
    if size.value != draft.tensor_parallel_size:
        # The profile may want other things of several cards than of one, so decide everything again for them.
        draft = _draft(model, profile, release, machine, layers, purpose, chosen_size=size)
        ruled = reduce(lambda so_far, rule: follow(rule, so_far), RULES, draft)
    return Plan(
        model=model,
        profile_name=profile.name,
        release=release,
        settings=MappingProxyType(dict(ruled.settings)),
        environment=MappingProxyType(dict(ruled.environment)),
        sampling=MappingProxyType(resolve_sampling(model, layers)),
        findings=tuple(_forced(finding) if force else finding for finding in ruled.findings),
    )


def _draft(
    model: Model,
    profile: Profile,
    release: Release,
    machine: Machine,
    layers: Sequence[Layer],
    purpose: Purpose,
    *,
    chosen_size: Setting | None,
) -> Draft:
    asked = {name: Setting(value, layer.source, "") for layer in layers for name, value in layer.settings.items()}
    size = asked.get("tensor_parallel_size") or chosen_size
    cards = size.value if size else _preferred_size(profile, release)
    assert isinstance(cards, int)
    preferred = profile.settings_at(release, cards)
    settings = {name: Setting(_VLLM_DEFAULTS.get(name), _VLLM, "") for name in ENGINE}
    settings |= {name: _preferred(profile, name, preference) for name, preference in preferred.items()}
    settings |= _from_model(model, settings)
    if chosen_size:
        settings["tensor_parallel_size"] = chosen_size
    exported = {name: value for layer in layers for name, value in layer.environment.items()}
    if _BACKEND in exported and not release.matches(ATTENTION_CONFIG):
        settings["attention_backend"] = Setting(exported[_BACKEND], _BACKEND, "")
        asked.setdefault("attention_backend", settings["attention_backend"])
    settings |= asked
    chosen = set(asked) | set(exported)
    if settings["dtype"].value == "auto":
        settings["dtype"] = Setting(
            model.weights_dtype, settings["dtype"].source, f"auto: weights are {model.weights_dtype}"
        )
        chosen.discard("dtype")
    environment = {
        name: Setting(preference.value, f"profile {profile.name}", preference.because or "the profile's choice")
        for name, preference in profile.environment_at(release, cards).items()
    }
    environment |= {
        name: Setting(exported[name], "environment", "exported by you")
        for name in (*environment, *WATCHED_VARIABLES)
        if name in exported
    }
    return Draft(
        model=model,
        profile=profile,
        release=release,
        machine=machine,
        purpose=purpose,
        settings=settings,
        environment=environment,
        exported=exported,
        chosen=frozenset(chosen),
    )


def _preferred_size(profile: Profile, release: Release) -> object:
    preference = profile.settings_at(release, 1).get("tensor_parallel_size")
    return preference.value if preference else _VLLM_DEFAULTS["tensor_parallel_size"]


def _preferred(profile: Profile, name: str, preference: Preference) -> Setting:
    source = f"profile {profile.name}"
    value = read(ENGINE, name, preference.value, f"{source}: {name}", ExitCode.INVALID)
    return Setting(value, source, preference.because or "the profile's choice")


def _from_model(model: Model, settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """Return what the checkpoint decides, seen beside what the profile prefers.

    The dtype of its weights counts where the profile has no preference. The length that it was trained for is the
    most it can do, so a profile may ask for less.
    """
    decided = {"quantization": _quantization(model)}
    length = settings["max_model_len"].value
    if not isinstance(length, int) or length >= model.architecture.context_length:
        key = "model_max_length" if model.architecture.position_embedding == "alibi" else "max_position_embeddings"
        decided["max_model_len"] = Setting(model.architecture.context_length, _MODEL, f"config.json {key}")
    dtype = settings["dtype"]
    weights = f"weights are {model.weights_dtype}"
    if dtype.value == "auto":
        decided["dtype"] = Setting(model.weights_dtype, _MODEL, weights)
    elif dtype.value != model.weights_dtype:
        decided["dtype"] = replace(dtype, reason=f"{dtype.reason}; {weights}")
    return decided


def _quantization(model: Model) -> Setting:
    if (quantization := model.quantization) is None:
        return Setting(None, _MODEL, "no quantization_config")
    details = (
        f"{quantization.bits}-bit" if quantization.bits else "",
        f"groups of {quantization.group_size}" if (quantization.group_size or 0) > 0 else "",
    )
    return Setting(quantization.method, _MODEL, ", ".join(filter(None, details)) or "quantization_config")


def _forced(finding: Finding) -> Finding:
    return replace(finding, severity="warning") if finding.forceable else finding
