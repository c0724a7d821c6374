"""The Plan: every engine setting with where it came from and why, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from baichuan_cli.catalog.model import Model
from baichuan_cli.plan.release import Release

SettingValue = bool | int | float | str | None | Mapping[str, object] | tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One decided value."""

    value: SettingValue
    source: str  # "vLLM default", "profile k100", "model", "config.yaml", "BCLI_DTYPE", "--dtype", "rule memory"
    reason: str  # one short clause a person understands; never empty for a profile or a rule


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source asks for, by name. Layers are given in rising precedence."""

    source: str
    settings: Mapping[str, SettingValue] = field(default_factory=dict)  # names of vLLM's EngineArgs
    sampling: Mapping[str, SettingValue] = field(default_factory=dict)  # names of vLLM's SamplingParams
    environment: Mapping[str, str] = field(default_factory=dict)  # variables that the person has exported


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that speaks against the plan.

    A refusal about capability (`forceable`) becomes a warning under `--force`; one about silent wrongness never does,
    and neither does one about a release that bcli does not know how to talk to.
    """

    severity: Literal["refusal", "warning"]
    rule: str  # name of the rule that found it: "tensor_parallel", "memory"
    message: str  # the value, the rule and the arithmetic
    hint: str = ""  # the next thing to try
    forceable: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Model × profile × release × overrides, decided. Keys of `settings` are the names of vLLM's `EngineArgs`."""

    model: Model
    profile_name: str
    release: Release
    settings: Mapping[str, Setting]
    environment: Mapping[str, Setting]
    sampling: Mapping[str, Setting]  # names of vLLM's SamplingParams
    findings: tuple[Finding, ...]
    server: Mapping[str, Setting] = field(default_factory=dict)  # names of the arguments of vLLM's server alone

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """Return the findings that forbid loading."""
        return tuple(finding for finding in self.findings if finding.severity == "refusal")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Return the findings that a person should know of."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")
