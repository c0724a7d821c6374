"""Every setting with a value before any rule has spoken: vLLM's defaults, the profile, the model, the person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from baichuan_cli.catalog.model import Model
from baichuan_cli.errors import ExitCode
from baichuan_cli.hardware.machine import Machine
from baichuan_cli.hardware.profile import Preference, Profile
from baichuan_cli.plan.draft import Draft, Purpose, Start
from baichuan_cli.plan.model import Layer, Setting, SettingValue
from baichuan_cli.plan.release import Release
from baichuan_cli.plan.releases import ATTENTION_CONFIG
from baichuan_cli.plan.rules import WATCHED_VARIABLES
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


def first_draft(
    model: Model,
    profile: Profile,
    release: Release,
    machine: Machine,
    layers: Sequence[Layer],
    purpose: Purpose,
    start: Start,
    *,
    ruled_size: Setting | None = None,
) -> Draft:
    """Lay the sources over each other; later ones win.

    Args:
        model: the checkpoint.
        profile: fitted to the machine already.
        release: the vLLM that will run.
        machine: the machine it will run on.
        layers: what a person asks for, in rising precedence.
        purpose: an engine in this process, or a server.
        start: how the engine is to start.
        ruled_size: the tensor-parallel size where a rule has chosen one; a profile may prefer other things then.

    Raises:
        BcliError: the profile prefers, or VLLM_ATTENTION_BACKEND names, something that makes no sense.
    """
    exported = {name: value for layer in layers for name, value in layer.environment.items()}
    asked = _asked(layers, exported, release)
    preferred = _preferred(profile, release, asked.get("tensor_parallel_size") or ruled_size)
    settings = {name: Setting(_VLLM_DEFAULTS.get(name), _VLLM, "") for name in ENGINE} | preferred
    settings |= _from_model(model, settings)
    if ruled_size:
        settings["tensor_parallel_size"] = ruled_size
    settings |= asked
    chosen = {*asked, *exported}
    if settings["dtype"].value == "auto":
        reason = f"auto: weights are {model.weights_dtype}"
        settings["dtype"] = Setting(model.weights_dtype, settings["dtype"].source, reason)
        chosen.discard("dtype")
    size = settings["tensor_parallel_size"].value
    assert isinstance(size, int)
    return Draft(
        model=model,
        profile=profile,
        release=release,
        machine=machine,
        purpose=purpose,
        settings=settings,
        environment=_environment(profile, release, size, exported),
        exported=exported,
        chosen=frozenset(chosen),
        start=start,
    )


def _asked(layers: Sequence[Layer], exported: Mapping[str, str], release: Release) -> dict[str, Setting]:
    """Return what the person asks for; old releases take the attention backend from the environment.

    Raises:
        BcliError: the backend in the environment is misspelt; most of these releases would take another in silence.
    """
    asked = {name: Setting(value, layer.source, "") for layer in layers for name, value in layer.settings.items()}
    if (backend := exported.get(_BACKEND)) and not release.matches(ATTENTION_CONFIG):
        value = read(ENGINE, "attention_backend", backend, _BACKEND)
        asked.setdefault("attention_backend", Setting(value, _BACKEND, ""))
    return asked


def _preferred(profile: Profile, release: Release, size: Setting | None) -> dict[str, Setting]:
    """Return what the profile prefers for a number of cards, its own number where nobody has decided one."""

    def at(cards: SettingValue) -> dict[str, Setting]:
        assert isinstance(cards, int)
        preferences = profile.settings_at(release, cards)
        return {name: _checked(profile, name, preference) for name, preference in preferences.items()}

    if size is None:
        size = at(1).get("tensor_parallel_size", Setting(1, _VLLM, ""))
    return at(size.value)


def _checked(profile: Profile, name: str, preference: Preference) -> Setting:
    source = f"profile {profile.name}"
    value = read(ENGINE, name, preference.value, f"{source}: {name}", ExitCode.INVALID)
    return Setting(value, source, preference.because or "the profile's choice")


def _environment(profile: Profile, release: Release, size: int, exported: Mapping[str, str]) -> dict[str, Setting]:
    """Return the profile's variables, and the person's own values of those that matter to the plan."""
    environment = {
        name: Setting(preference.value, f"profile {profile.name}", preference.because or "the profile's choice")
        for name, preference in profile.environment_at(release, size).items()
    }
    return environment | {
        name: Setting(exported[name], "environment", "exported by you")
        for name in (*environment, *WATCHED_VARIABLES)
        if name in exported
    }


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
