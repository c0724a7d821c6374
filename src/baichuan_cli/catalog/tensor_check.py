"""Comparing the tensors that are there with those that the configuration calls for."""

from __future__ import annotations

from pathlib import Path

from baichuan_cli.catalog.json_file import damaged
from baichuan_cli.catalog.model import Architecture, Quantization
from baichuan_cli.catalog.weight_files import WeightFiles
from baichuan_cli.errors import BcliError, ExitCode

_PACKED_SUFFIXES = (".qweight", ".weight_packed")  # GPTQ and AWQ; compressed-tensors


def check_tensors(
    weights: WeightFiles,
    architecture: Architecture,
    config_path: Path,
    quantization: Quantization | None,
    *,
    tied: bool,
) -> None:
    """Make sure that every layer has its weights, in the shape that `config.json` gives.

    Args:
        weights: what is there.
        architecture: what should be there.
        config_path: where the architecture was read, for messages.
        quantization: what the configuration says; bitsandbytes names its tensors otherwise and is not checked.
        tied: the head is the embedding, so it has no tensor of its own.

    Raises:
        BcliError: tensors are missing or have another shape, or they are packed where the configuration says that
            they are not, or the other way round.
    """
    if not weights.names or (quantization and quantization.method == "bitsandbytes"):
        return
    modules = {name.rpartition(".")[0] for name in weights.names}
    expected = {**_outer_shapes(architecture, tied=tied), **_linear_shapes(architecture)}
    missing = [module for module in expected if module not in modules]
    if missing:
        raise BcliError(
            f"{len(missing)} of {len(expected)} layers have no weights in {config_path.parent}, {missing[0]} first.",
            hint="The download may be unfinished, or config.json belongs to another model. Download both again.",
            exit_code=ExitCode.INVALID,
        )
    packed = any(name.endswith(_PACKED_SUFFIXES) for name in weights.names)
    if packed and quantization is None:
        raise damaged(config_path, "says nothing about a quantization, but the weights are packed")
    if not packed and quantization and quantization.grouped:
        raise damaged(config_path, f"speaks of {quantization.method}, but the weights are not packed")
    checked = _outer_shapes(architecture, tied=tied) if quantization else expected
    for module, shape in checked.items():
        tensor = weights.tensors.get(f"{module}.weight")
        if tensor and tensor.shape != shape:
            raise damaged(
                config_path,
                f"does not fit the weights: {module} is {_by(tensor.shape)} where it calls for {_by(shape)}",
            )


def _outer_shapes(architecture: Architecture, *, tied: bool) -> dict[str, tuple[int, ...]]:
    hidden, vocab = architecture.hidden_size, architecture.vocab_size
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens": (vocab, hidden), "model.norm": (hidden,)}
    if not tied:
        shapes["lm_head"] = (vocab, hidden)
    for layer in range(architecture.num_hidden_layers):
        shapes[f"model.layers.{layer}.input_layernorm"] = (hidden,)
        shapes[f"model.layers.{layer}.post_attention_layernorm"] = (hidden,)
    return shapes


def _linear_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    hidden, intermediate = architecture.hidden_size, architecture.intermediate_size
    block = {
        "self_attn.W_pack": (3 * hidden, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (intermediate, hidden),
        "mlp.up_proj": (intermediate, hidden),
        "mlp.down_proj": (hidden, intermediate),
    }
    return {
        f"model.layers.{layer}.{name}": shape
        for layer in range(architecture.num_hidden_layers)
        for name, shape in block.items()
    }


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
