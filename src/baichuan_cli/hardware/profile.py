"""The schema of a hardware profile: what one kind of hardware can do, and what it should use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from baichuan_cli.catalog.model import Dtype
from baichuan_cli.container.recipe import Recipe
from baichuan_cli.errors import BcliError
from baichuan_cli.plan.release import Release
from baichuan_cli.plan.settings import ENGINE, read

Kind = Literal["dcu", "rocm", "cuda", "cpu"]
Scalar = bool | int | float | str


def _specifier(text: str) -> str:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f"{text!r} is no version range; write it like '>=0.5.0,<0.6'") from error
    return text


def _environment_value(preference: Preference) -> Preference:
    # YAML reads on, off, yes and no as booleans; what a program would then find in its environment is a guess.
    if isinstance(preference.value, bool):
        raise ValueError("is true or false; write 1 or 0, or put it in quotes")
    return preference


VersionRange = Annotated[str, AfterValidator(_specifier)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Preference(_Strict):
    """A value and the reason for it; a profile file may give the bare value where the reason is plain."""

    value: Scalar
    because: str = ""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_value(cls, data: Any) -> Any:
        return data if isinstance(data, (Mapping, Preference)) else {"value": data}


def _known_settings(settings: Mapping[str, Preference]) -> Mapping[str, Preference]:
    for name, preference in settings.items():
        try:
            read(ENGINE, name, preference.value, name)
        except BcliError as error:
            raise ValueError(" ".join(filter(None, (error.message, error.hint)))) from None
    return settings


Settings = Annotated[Mapping[str, Preference], AfterValidator(_known_settings)]
Environment = Mapping[VariableName, Annotated[Preference, AfterValidator(_environment_value)]]


class Hardware(_Strict):
    """Facts about one card, or about the host for a CPU. Absent means unknown, never zero."""

    architectures: tuple[str, ...] = ()  # "gfx928", "sm_90"; empty: any of this kind
    unsupported_architectures: Mapping[str, str] = {}  # architecture -> reason
    memory_gib: float | None = Field(default=None, gt=0, le=1e6)  # per card; None: ask the machine
    dtypes: tuple[Dtype, ...]  # what it computes natively
    quantizations: tuple[str, ...] = ()  # methods known to work
    forbidden_quantizations: Mapping[str, str] = {}  # method -> reason
    doubtful_quantizations: Mapping[str, str] = {}  # method -> what was reported of it
    vllm: VersionRange = ">=0.5.0"
    memory_bandwidth_gb_s: float | None = Field(default=None, gt=0)
    peak_tflops: float | None = Field(default=None, gt=0)  # dense, in the preferred 16-bit dtype


class Condition(_Strict):
    """What changes on some releases of vLLM, from some number of cards on, or on some machines.

    Every test that is given must hold; where several conditions hold, later ones win.
    """

    vllm: VersionRange = ""
    min_tensor_parallel_size: int = Field(default=1, ge=1)
    architectures: tuple[str, ...] = ()  # any of these; the machine's oldest card counts
    cpu_flags: tuple[str, ...] = ()  # any of these
    dtypes: tuple[Dtype, ...] = ()  # what it computes natively, instead of the hardware's list
    quantizations: tuple[str, ...] = ()  # methods that work in addition
    doubtful_quantizations: Mapping[str, str] = {}  # method -> what was reported of it, in addition
    settings: Settings = {}
    environment: Environment = {}

    @property
    def about_machine(self) -> bool:
        """Tell whether the machine must be known to decide this condition; `hardware.fit` decides it."""
        return bool(self.architectures or self.cpu_flags)

    def holds(self, release: Release, tensor_parallel_size: int) -> bool:
        """Tell whether this condition applies. One about a machine that was not looked at does not."""
        return (
            not self.about_machine
            and release.matches(self.vllm)
            and tensor_parallel_size >= self.min_tensor_parallel_size
        )


class Profile(_Strict):
    """One kind of hardware. Keys of `settings` are the names of vLLM's `EngineArgs`."""

    name: str
    title: str
    kind: Kind
    hardware: Hardware
    settings: Settings = {}
    environment: Environment = {}
    forbidden_environment: Mapping[VariableName, str] = {}  # variable -> why it must not be set
    conditions: tuple[Condition, ...] = ()
    container: Recipe | None = None  # None: not known how to run in one
    notes: tuple[str, ...] = ()  # what a person should know before they rely on this hardware

    @model_validator(mode="after")
    def _obey_forbidden_environment(self) -> Profile:
        for environment in (self.environment, *(condition.environment for condition in self.conditions)):
            for name in environment:
                if name in self.forbidden_environment:
                    raise ValueError(f"environment {name} must not be set: {self.forbidden_environment[name]}")
        return self

    def dtypes_at(self, release: Release, tensor_parallel_size: int) -> tuple[Dtype, ...]:
        """Return what the hardware computes natively, for a release and a number of cards."""
        dtypes = self.hardware.dtypes
        for condition in self.conditions:
            if condition.dtypes and condition.holds(release, tensor_parallel_size):
                dtypes = condition.dtypes
        return dtypes

    def settings_at(self, release: Release, tensor_parallel_size: int) -> dict[str, Preference]:
        """Return the preferred settings for a release and a number of cards."""
        merged = dict(self.settings)
        for condition in self.conditions:
            if condition.holds(release, tensor_parallel_size):
                merged.update(condition.settings)
        return merged

    def environment_at(self, release: Release, tensor_parallel_size: int) -> dict[str, Preference]:
        """Return the environment variables for a release and a number of cards."""
        merged = dict(self.environment)
        for condition in self.conditions:
            if condition.holds(release, tensor_parallel_size):
                merged.update(condition.environment)
        return merged

    def quantizations_at(self, release: Release, tensor_parallel_size: int) -> tuple[str, ...]:
        """Return the quantization methods that work, for a release and a number of cards."""
        extra = tuple(
            name
            for condition in self.conditions
            if condition.holds(release, tensor_parallel_size)
            for name in condition.quantizations
        )
        return self.hardware.quantizations + extra

    def doubts_at(self, release: Release, tensor_parallel_size: int) -> dict[str, str]:
        """Return the quantization methods whose answers are in doubt, with what was reported, as above."""
        doubts = dict(self.hardware.doubtful_quantizations)
        for condition in self.conditions:
            if condition.holds(release, tensor_parallel_size):
                doubts.update(condition.doubtful_quantizations)
        return doubts
