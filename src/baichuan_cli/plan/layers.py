"""What a person asks for, from the three places where they can say it.

Rising precedence: `config.yaml`, then `BCLI_*` environment variables, then the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.model import Layer, SettingValue
from baichuan_cli.plan.readers import Reader, nearest
from baichuan_cli.plan.settings import ENGINE, SAMPLING, read

CONFIG = "config.yaml"

_PREFIX = "BCLI_"

#: Variables of bcli that are no settings.
_OTHER_VARIABLES = ("HOME", "DEBUG", "MODEL", "PROFILE", "API_KEY", "WEB_PASSWORD")

_CONFIG_KEYS: Mapping[str, str] = {
    "model": "a model's name or path",
    "profile": "a profile's name or path",
    "settings": "a list of engine settings with their values",
    "sampling": "a list of sampling settings with their values",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What `config.yaml` says."""

    layer: Layer
    model: str | None = None
    profile: str | None = None


def from_config(content: Mapping[str, object] | None) -> Configuration:
    """Read the content of a person's `config.yaml`; None and an empty file say nothing.

    Raises:
        BcliError: an unknown key or setting, or a value that makes no sense.
    """
    config = content or {}
    for key in config:
        if key not in _CONFIG_KEYS:
            raise BcliError(
                f"{CONFIG}: there is no key {key!r}.", hint=nearest(key, _CONFIG_KEYS), exit_code=ExitCode.INVALID
            )
    return Configuration(
        layer=Layer(
            CONFIG, settings=_section(config, "settings", ENGINE), sampling=_section(config, "sampling", SAMPLING)
        ),
        model=_name(config, "model"),
        profile=_name(config, "profile"),
    )


def _section(config: Mapping[str, object], key: str, readers: Mapping[str, Reader]) -> dict[str, SettingValue]:
    section = config.get(key)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise BcliError(
            f"{CONFIG}: {key}: {section!r} is not {_CONFIG_KEYS[key]}.",
            hint="Write one on each line, indented, like this: dtype: float16",
            exit_code=ExitCode.INVALID,
        )
    return {
        name: read(readers, name, raw, f"{CONFIG}: {key}: {name}", ExitCode.INVALID) for name, raw in section.items()
    }


def _name(config: Mapping[str, object], key: str) -> str | None:
    value = config.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise BcliError(f"{CONFIG}: {key}: {value!r} is not {_CONFIG_KEYS[key]}.", exit_code=ExitCode.INVALID)
    return value


def from_environment(environ: Mapping[str, str]) -> tuple[Layer, ...]:
    """Read `BCLI_DTYPE`, `BCLI_TEMPERATURE` and so on, one layer a variable.

    `BCLI_SEED` is the seed of sampling, as `--seed` is. What else is exported goes along as a layer's `environment`,
    so that a profile does not overwrite a variable that the person has set for vLLM.

    Raises:
        BcliError: an unknown `BCLI_` variable, or a value that makes no sense; the variable is named.
    """
    layers = [Layer("environment", environment={k: v for k, v in environ.items() if not k.startswith(_PREFIX)})]
    for variable in sorted(environ):
        name = variable.removeprefix(_PREFIX).lower()
        if not variable.startswith(_PREFIX) or variable.removeprefix(_PREFIX) in _OTHER_VARIABLES:
            continue
        if name in SAMPLING:
            layers.append(Layer(variable, sampling={name: read(SAMPLING, name, environ[variable], variable)}))
        elif name in ENGINE:
            layers.append(Layer(variable, settings={name: read(ENGINE, name, environ[variable], variable)}))
        else:
            known = {f"{_PREFIX}{each.upper()}": None for each in (*ENGINE, *SAMPLING, *_OTHER_VARIABLES)}
            raise BcliError(f"{variable} is no variable of bcli.", hint=nearest(variable, known))
    return tuple(layers)


def from_command_line(
    settings: Mapping[str, object], sampling: Mapping[str, object] | None = None
) -> tuple[Layer, ...]:
    """Read options, one layer an option; a value of None means that the option was not given.

    Raises:
        BcliError: an unknown setting, or a value that makes no sense; the option is named.
    """
    layers = []
    for name, raw in settings.items():
        if raw is not None:
            layers.append(Layer(_flag(name), settings={name: read(ENGINE, name, raw, _flag(name))}))
    for name, raw in (sampling or {}).items():
        if raw is not None:
            layers.append(Layer(_flag(name), sampling={name: read(SAMPLING, name, raw, _flag(name))}))
    return tuple(layers)


def from_assignments(assignments: Sequence[str]) -> tuple[Layer, ...]:
    """Read `--set NAME=VALUE` options, given as `NAME=VALUE`.

    Raises:
        BcliError: no equals sign, or as `from_command_line`.
    """
    layers = []
    for assignment in assignments:
        name, equals, raw = assignment.partition("=")
        if not equals:
            raise BcliError(f"--set {assignment}: there is no value.", hint="Write it like --set block_size=32")
        name = name.strip().replace("-", "_")
        source = f"--set {name}"
        layers.append(Layer(source, settings={name: read(ENGINE, name, raw.strip(), source)}))
    return tuple(layers)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
