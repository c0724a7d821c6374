"""A person's own defaults: `config.yaml` in the configuration folder.

model: baichuan2-7b-chat
profile: k100-ai
settings: {max_model_len: 2048}
sampling: {temperature: 0.3}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from baichuan_cli.errors import BcliError, ExitCode

_KEYS = ("model", "profile", "settings", "sampling")


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says; `settings` and `sampling` are checked by the plan, by name and by type."""

    model: str | None = None
    profile: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    sampling: Mapping[str, object] = field(default_factory=dict)


def load_config(path: Path) -> Config:
    """Read the file; one that is not there says nothing.

    Raises:
        BcliError: it is no valid YAML, has an unknown key, or a value of the wrong kind.
    """
    if not path.exists():
        return Config()
    from baichuan_cli.hardware.yaml_file import read_mapping

    data = read_mapping(path)
    problems = [f"{key}: unknown; bcli knows {', '.join(_KEYS)}" for key in data if key not in _KEYS]
    problems += [f"{key}: must be a name" for key in _KEYS[:2] if not isinstance(data.get(key, ""), str)]
    problems += [
        f"{key}: must be a mapping of names to values" for key in _KEYS[2:] if not _is_mapping(data.get(key, {}))
    ]
    if problems:
        raise BcliError(f"{path} makes no sense.", hint="\n".join(problems), exit_code=ExitCode.INVALID)
    return Config(**data)


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)
