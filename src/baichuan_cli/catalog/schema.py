"""The schema of `models.yaml`: strict, so that a misspelt key is found before anybody relies on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from baichuan_cli.catalog.model import ChatFamily, Dtype, PositionEmbedding, WeightFormat

T = TypeVar("T")

#: `unknown` in the file becomes None: looked for and not found, as opposed to left out.
Known = Annotated[T | None, BeforeValidator(lambda value: None if value == "unknown" else value)]
Alias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
RepoId = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ArchitectureEntry(_Strict):
    """One of the four shapes; the names are those of `catalog.model.Architecture`."""

    title: str
    class_name: Literal["BaiChuanForCausalLM", "BaichuanForCausalLM"]
    hidden_size: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    vocab_size: int = Field(gt=0)
    position_embedding: PositionEmbedding
    norm_head: bool
    context_length: int = Field(gt=0)


class Licence(_Strict):
    """What a checkpoint may be used for, in one line."""

    name: str
    notes: str = ""


class Weights(_Strict):
    """The weights as stored: `dtype` is that of every tensor that is not quantized."""

    format: WeightFormat
    dtype: Dtype
    bytes: int = Field(gt=0)
    bytes_from: Literal["index", "calculated", "reported"]


class QuantizationEntry(_Strict):
    """How the linear layers are quantized."""

    method: Literal["gptq", "awq", "compressed-tensors", "bitsandbytes"]
    bits: Known[int]
    group_size: Known[int]
    desc_act: Known[bool]


class Sources(_Strict):
    """Where a checkpoint can be had."""

    huggingface: RepoId
    modelscope: RepoId | None = None
    aimodels: Annotated[str, Field(pattern=r"^https?://")] | None = None

    def urls(self) -> dict[str, str]:
        """Return the address of each source by its name; hf-mirror carries every Hugging Face repository."""
        found = {
            "huggingface": f"https://huggingface.co/{self.huggingface}",
            "hf-mirror": f"https://hf-mirror.com/{self.huggingface}",
        }
        if self.modelscope:
            found["modelscope"] = f"https://modelscope.cn/models/{self.modelscope}"
        if self.aimodels:
            found["aimodels"] = self.aimodels
        return found


class BundledEntry(_Strict):
    """A small checkpoint that comes with bcli. Its own files hold every other fact about it."""

    name: Alias
    title: str
    notes: tuple[str, ...] = Field(default=(), strict=False)

    @property
    def command_name(self) -> str:
        """Return what commands and messages call it."""
        return self.name


class Entry(_Strict):
    """One checkpoint. The first alias is its name in lower case."""

    name: str
    aliases: tuple[Alias, ...] = Field(min_length=1, strict=False)
    architecture: str
    chat_family: ChatFamily | None  # null: a base model, or a chat format that nobody has published
    weights: Weights
    quantization: QuantizationEntry | None = None
    generation_defaults: Mapping[str, bool | int | float] = {}
    sources: Sources
    licence: str
    not_loadable: str = ""
    instead: tuple[Alias, ...] = Field(default=(), strict=False)  # what to take where it cannot be loaded
    unverified: tuple[str, ...] = Field(default=(), strict=False)
    notes: tuple[str, ...] = Field(default=(), strict=False)

    @property
    def command_name(self) -> str:
        """Return what commands and messages call it."""
        return self.aliases[0]

    @field_validator("unverified")
    @classmethod
    def _names_a_field(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        nested: dict[str, type[BaseModel]] = {"weights": Weights, "quantization": QuantizationEntry}
        for path in paths:
            head, _, tail = path.partition(".")
            if head not in cls.model_fields or (tail and tail not in nested.get(head, _Strict).model_fields):
                raise ValueError(f"{path!r} is no field of a model")
        return paths

    @model_validator(mode="after")
    def _leads_with_its_own_name(self) -> Entry:
        if self.aliases[0] != self.name.lower():
            raise ValueError(f"the first alias of {self.name} must be {self.name.lower()!r}")
        return self


class CatalogueFile(_Strict):
    """The whole of `models.yaml`."""

    architectures: Mapping[str, ArchitectureEntry]
    licences: Mapping[str, Licence]
    bundled: tuple[BundledEntry, ...] = Field(strict=False)
    models: tuple[Entry, ...] = Field(strict=False)

    @model_validator(mode="after")
    def _hangs_together(self) -> CatalogueFile:
        taken = {entry.name for entry in self.bundled}
        for entry in self.models:
            if entry.architecture not in self.architectures:
                raise ValueError(f"{entry.name}: there is no architecture {entry.architecture!r}")
            if entry.licence not in self.licences:
                raise ValueError(f"{entry.name}: there is no licence {entry.licence!r}")
            for alias in entry.aliases:
                if alias in taken:
                    raise ValueError(f"{entry.name}: the alias {alias!r} is taken")
                taken.add(alias)
        for entry in self.models:
            if strangers := set(entry.instead) - taken:
                raise ValueError(f"{entry.name}: there is no model {sorted(strangers)[0]!r}")
        return self
