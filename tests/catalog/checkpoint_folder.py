"""Small checkpoints in every layout, written on the spot: whole ones, which a test then damages."""

from __future__ import annotations

import json
import math
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ELEMENT_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I32": 4}

#: config.json of the four layouts, at small sizes where the rules allow it.
LAYOUTS: Mapping[str, Mapping[str, Any]] = {
    "baichuan-7b": {"architectures": ["BaiChuanForCausalLM"], "hidden_size": 32, "max_position_embeddings": 4096},
    "baichuan-13b": {"architectures": ["BaichuanForCausalLM"], "hidden_size": 40, "model_max_length": 4096},
    "baichuan2-7b": {
        "architectures": ["BaichuanForCausalLM"],
        "hidden_size": 32,
        "max_position_embeddings": 4096,
        "model_max_length": 4096,
        "vocab_size": 125_696,
    },
    "baichuan2-13b": {
        "architectures": ["BaichuanForCausalLM"],
        "hidden_size": 40,
        "model_max_length": 4096,
        "vocab_size": 125_696,
    },
}


def safetensors_bytes(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        begin, end = end, end + ELEMENT_BYTES[dtype] * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(end)


def torch_archive(path: Path, names: list[str], payload: int = 64) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(dict.fromkeys(names), protocol=2))
        archive.writestr("archive/data/0", bytes(payload))


def sentencepiece_bytes(pieces: list[str]) -> bytes:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(content)) + content

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)

    scored = (field(1, piece.encode()) + bytes([2 << 3 | 5]) + bytes(4) + bytes([3 << 3, 1]) for piece in pieces)
    return b"".join(field(1, piece) for piece in scored) + field(2, b"")


def tensors_of(config: Mapping[str, Any], dtype: str = "BF16", group_size: int = 0) -> dict[str, Any]:
    hidden, width, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    linears = {
        "self_attn.W_pack": (3 * hidden, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (width, hidden),
        "mlp.up_proj": (width, hidden),
        "mlp.down_proj": (hidden, width),
    }
    tensors: dict[str, Any] = {"model.embed_tokens.weight": (dtype, (vocab, hidden))}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, (outputs, inputs) in linears.items():
            if group_size:
                groups = math.ceil(inputs / group_size)
                tensors[f"{prefix}{name}.qweight"] = ("I32", (inputs // 8, outputs))
                tensors[f"{prefix}{name}.scales"] = ("F16", (groups, outputs))
                tensors[f"{prefix}{name}.qzeros"] = ("I32", (groups, outputs // 8))
            else:
                tensors[f"{prefix}{name}.weight"] = (dtype, (outputs, inputs))
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{prefix}{name}.weight"] = (dtype, (hidden,))
    return {**tensors, "model.norm.weight": (dtype, (hidden,)), "lm_head.weight": (dtype, (vocab, hidden))}


class Folder:
    """A checkpoint's folder under construction."""

    def __init__(self, path: Path, layout: str, **config: Any) -> None:
        self.path = path
        self.config: dict[str, Any] = {
            "model_type": "baichuan",
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": 64_000,
            "torch_dtype": "bfloat16",
            **LAYOUTS[layout],
            **config,
        }
        self.role = "<reserved_106>" if layout.startswith("baichuan2") else "<reserved_102>"
        path.mkdir(parents=True)
        self.write_config()
        self.write_tokenizer(self.config["vocab_size"])

    def write_config(self, **changes: Any) -> None:
        self.config.update(changes)
        self.write_json("config.json", {key: value for key, value in self.config.items() if value is not None})

    def write_json(self, name: str, content: Any) -> None:
        (self.path / name).write_text(json.dumps(content))

    def write_tokenizer(self, size: int) -> None:
        pieces = [f"p{number}" for number in range(size)]
        pieces[195] = self.role
        (self.path / "tokenizer.model").write_bytes(sentencepiece_bytes(pieces))

    def write_safetensors(self, dtype: str = "BF16", group_size: int = 0, leave_out: str = "") -> None:
        tensors = tensors_of(self.config, dtype, group_size)
        whole = {name: tensor for name, tensor in tensors.items() if not leave_out or leave_out not in name}
        (self.path / "model.safetensors").write_bytes(safetensors_bytes(whole))

    def write_shards(self, suffix: str, count: int = 3) -> list[Path]:
        """Split the tensors over numbered files with an index, in safetensors or `.bin`."""
        tensors = tensors_of(self.config)
        stem = "model" if suffix == "safetensors" else "pytorch_model"
        paths = [self.path / f"{stem}-{number:05}-of-{count:05}.{suffix}" for number in range(1, count + 1)]
        weight_map = {}
        for position, path in enumerate(paths):
            share = {name: tensors[name] for name in list(tensors)[position::count]}
            weight_map.update(dict.fromkeys(share, path.name))
            if suffix == "safetensors":
                path.write_bytes(safetensors_bytes(share))
            else:
                torch_archive(path, list(share))
        total = sum(path.stat().st_size for path in paths) // 2
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        self.write_json(f"{stem}.{suffix}.index.json", index)
        return paths
