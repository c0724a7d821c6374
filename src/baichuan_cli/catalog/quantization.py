"""Reading how a checkpoint is quantized: from `config.json`, from the quantizers' own files, and from the tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baichuan_cli.catalog.json_file import damaged, read_json_if_there
from baichuan_cli.catalog.model import Architecture, Quantization
from baichuan_cli.catalog.safetensors_header import Tensor

_GPTQ_FILE = "quantize_config.json"  # AutoGPTQ
_AWQ_FILE = "quant_config.json"  # AutoAWQ, older releases
_DOWN_PROJ_SCALES = "model.layers.0.mlp.down_proj.scales"


def read_quantization(config: dict[str, Any], folder: Path) -> Quantization | None:
    """Return how the linear layers are quantized, or None where no file says that they are.

    Raises:
        BcliError: a file speaks of a quantization without saying which, or with a value that makes no sense.
    """
    if (inside := config.get("quantization_config")) is not None:
        path = folder / "config.json"
        if not isinstance(inside, dict):
            raise damaged(path, f"makes no sense: quantization_config is {inside!r}")
        return _from_settings(inside, path)
    for name, method in ((_GPTQ_FILE, "gptq"), (_AWQ_FILE, "awq")):
        if settings := read_json_if_there(folder / name):
            return _from_settings({"quant_method": method, **settings}, folder / name)
    return None


def group_size_of(tensors: Mapping[str, Tensor], architecture: Architecture) -> int | None:
    """Return the group size that the shape of the scales gives, -1 for one group a row, or None without scales.

    GPTQ and AWQ keep one row of scales for each group of input features.
    """
    scales = tensors.get(_DOWN_PROJ_SCALES)
    if scales is None or not scales.shape or not scales.shape[0]:
        return None
    groups = scales.shape[0]
    return -1 if groups == 1 else -(-architecture.intermediate_size // groups)


def _from_settings(settings: dict[str, Any], path: Path) -> Quantization:
    method = settings.get("quant_method")
    if method is None and (settings.get("load_in_4bit") or settings.get("load_in_8bit")):
        method = "bitsandbytes"
    if not isinstance(method, str):
        raise damaged(path, "makes no sense: it speaks of a quantization without naming its method")
    if method == "bitsandbytes":
        return Quantization(method, bits=4 if settings.get("load_in_4bit") else 8)
    if method == "compressed-tensors":
        settings = _first_weight_group(settings)
    return Quantization(
        method,
        bits=_whole(settings, path, "bits", "w_bit", "num_bits"),
        group_size=_whole(settings, path, "group_size", "q_group_size"),
        desc_act=desc_act if isinstance(desc_act := settings.get("desc_act"), bool) else None,
    )


def _first_weight_group(settings: dict[str, Any]) -> dict[str, Any]:
    groups = settings.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        if isinstance(group, dict) and isinstance(weights := group.get("weights"), dict):
            return weights
    return {}


def _whole(settings: dict[str, Any], path: Path, *keys: str) -> int | None:
    for key in keys:
        if (value := settings.get(key)) is not None:
            if type(value) is not int or value == 0 or value < -1:
                raise damaged(path, f"makes no sense: {key} is {value!r}")
            return value
    return None
