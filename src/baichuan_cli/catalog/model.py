"""What bcli knows about one checkpoint, wherever the knowledge came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ChatFamily = Literal["baichuan1", "baichuan2"]
Dtype = Literal["float16", "bfloat16", "float32"]
WeightFormat = Literal["safetensors", "bin"]
PositionEmbedding = Literal["rope", "alibi"]

#: The tokens that open a turn: their ids, the same in both families, and how each family spells the user's.
USER_ID, ASSISTANT_ID = 195, 196
USER_TOKENS: Mapping[ChatFamily, str] = {"baichuan1": "<reserved_102>", "baichuan2": "<reserved_106>"}

DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of a Baichuan model. Sizes in elements; every Baichuan has as many KV heads as heads."""

    class_name: str  # as in config.json: "BaiChuanForCausalLM" or "BaichuanForCausalLM"
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    vocab_size: int
    position_embedding: PositionEmbedding
    norm_head: bool
    context_length: int  # tokens the model was trained for

    @property
    def head_size(self) -> int:
        """Return the width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def linear_parameters(self) -> int:
        """Return the parameters of all linear layers in the blocks: W_pack, o_proj, gate, up and down."""
        return self.num_hidden_layers * (4 * self.hidden_size**2 + 3 * self.hidden_size * self.intermediate_size)

    @property
    def parameters(self) -> int:
        """Return the parameters in total: linear layers, two norms a block and a last one, embedding and head."""
        norms = (2 * self.num_hidden_layers + 1) * self.hidden_size
        return self.linear_parameters + norms + 2 * self.vocab_size * self.hidden_size


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the linear layers are quantized; `None` where the source does not say."""

    method: str  # "gptq", "awq", "compressed-tensors", "bitsandbytes"
    bits: int | None = None
    group_size: int | None = None  # -1: one group a row
    desc_act: bool | None = None

    @property
    def grouped(self) -> bool:
        """Tell whether inputs share a scale by groups, which a split over cards must not cut: GPTQ and AWQ."""
        return self.method in ("gptq", "awq")


@dataclass(frozen=True, slots=True)
class Model:
    """One Baichuan checkpoint: facts from its own files, or from the catalogue where there are no files."""

    name: str  # what a person calls it: an alias of the catalogue, or the folder's name
    architecture: Architecture
    weights_dtype: str  # "bfloat16", "float16" or "float32"
    weight_format: WeightFormat
    weight_bytes: int  # size of the weights as stored
    quantization: Quantization | None = None
    chat_family: ChatFamily | None = None  # None: a base model
    generation_defaults: Mapping[str, float | int | bool] = field(default_factory=dict)  # generation_config.json
    path: Path | None = None  # None: not on this machine
    facts_from: Literal["files", "catalogue"] = "files"
    not_loadable: str = ""  # why vLLM cannot load it; empty when it can
