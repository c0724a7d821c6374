"""The schema of a hardware profile: what one kind of hardware can do, and what it should use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from baichuan_cli.plan.release import Release

Kind = Literal["dcu", "rocm", "cuda", "cpu"]
Dtype = Literal["float16", "bfloat16", "float32"]
Scalar = bool | int | float | str


def _specifier(text: str) -> str:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f"{text!r} is no version range; write it like '>=0.5.0,<0.6'") from error
    return text


VersionRange = Annotated[str, AfterValidator(_specifier)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Preference(_Strict):
    """A value and the reason for it; a profile file may give the bare value where the reason is plain."""

    value: Scalar
    because: str = ""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_value(cls, data: Any) -> Any:
        return data if isinstance(data, (Mapping, Preference)) else {"value": data}


class Hardware(_Strict):
    """Facts about one card, or about the host for a CPU. Absent means unknown, never zero."""

    architectures: tuple[str, ...] = ()  # "gfx928"; empty: any of this kind
    memory_gib: float | None = Field(default=None, gt=0)  # per card; None: ask the machine
    dtypes: tuple[Dtype, ...]  # what it computes natively
    quantizations: tuple[str, ...] = ()  # methods known to work
    forbidden_quantizations: Mapping[str, str] = {}  # method -> reason
    vllm: VersionRange = ">=0.5.0"
    memory_bandwidth_gb_s: float | None = Field(default=None, gt=0)
    peak_tflops: float | None = Field(default=None, gt=0)  # dense, in the preferred 16-bit dtype


class Condition(_Strict):
    """What changes on some vLLM releases or from some number of cards on. Later conditions win."""

    vllm: VersionRange = ""
    min_tensor_parallel_size: int = Field(default=1, ge=1)
    quantizations: tuple[str, ...] = ()  # methods that work in addition
    settings: Mapping[str, Preference] = {}
    environment: Mapping[str, Preference] = {}

    def holds(self, release: Release, tensor_parallel_size: int) -> bool:
        """Tell whether this condition applies."""
        return release.matches(self.vllm) and tensor_parallel_size >= self.min_tensor_parallel_size


class Profile(_Strict):
    """One kind of hardware. Keys of `settings` are the names of vLLM's `EngineArgs`."""

    name: str
    title: str
    kind: Kind
    hardware: Hardware
    settings: Mapping[str, Preference] = {}
    environment: Mapping[str, Preference] = {}
    conditions: tuple[Condition, ...] = ()

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

    def quantizations_at(self, release: Release) -> tuple[str, ...]:
        """Return the quantization methods that work on a release."""
        extra = tuple(
            name
            for condition in self.conditions
            if release.matches(condition.vllm)
            for name in condition.quantizations
        )
        return self.hardware.quantizations + extra
