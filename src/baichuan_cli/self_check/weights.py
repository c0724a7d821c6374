"""A checkpoint's weights, read from its files piece by piece as the float32 pass comes to them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from baichuan_cli.catalog.json_file import read_json
from baichuan_cli.catalog.model import Model
from baichuan_cli.catalog.weight_files import find_weights
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.self_check.forward import Packing, Shape
from baichuan_cli.self_check.packed import PARTS, SCALES, unpack
from baichuan_cli.self_check.rounding import Rounding

if TYPE_CHECKING:
    from torch import Tensor

_HEAD = "lm_head.weight"
_EMBEDDING = "model.embed_tokens.weight"


class Sliced(Protocol):
    """A tensor of which rows can be read alone: a slice of a safetensors file, or a mapped tensor."""

    def __getitem__(self, rows: slice) -> Tensor:
        """Return rows."""
        ...


class CheckpointWeights:
    """The weights of an open checkpoint.

    Args:
        tensors: by name; each is read when it is asked for.
        quantization: method and bits of a quantized checkpoint's linear layers.
    """

    def __init__(self, tensors: Mapping[str, Sliced], quantization: tuple[str, int] | None = None) -> None:
        self._tensors = tensors
        self._quantization = quantization
        self._head = _HEAD if _HEAD in tensors else _EMBEDDING  # tied
        self._last: tuple[str, Tensor] | None = None  # one layer is asked for with several roundings in turn

    def embedding(self, ids: Sequence[int]) -> Tensor:
        """Return the embeddings [tokens, hidden] of token ids."""
        import torch

        embedding = self._tensors[_EMBEDDING]
        return torch.cat([embedding[token : token + 1] for token in ids]).float()

    def vector(self, name: str) -> Tensor:
        """Return a norm's weights."""
        return self._tensors[name][:].float()

    def linear(self, name: str, packing: Packing, shards: int, rounding: Rounding) -> Tensor:
        """Return a linear layer's weights [out, in], rounded.

        Of 4-bit weights the scales are rounded too: kernels have them in the dtype in which they compute.

        Raises:
            BcliError: it is quantized in a way that the self-check cannot read.
        """
        if self._quantization is None or f"{name}.weight" in self._tensors:
            return rounding.weights(self._whole(f"{name}.weight"))
        split = packing if name.endswith(("o_proj", "down_proj")) or packing in _OF_EVERY_LAYER else "as stored"
        parts = {part: self._tensors[f"{name}.{part}"][:] for part in PARTS if f"{name}.{part}" in self._tensors}
        for part in SCALES:
            if part in parts:
                parts[part] = rounding.values(parts[part].float())
        return rounding.weights(unpack(*self._quantization, parts, split, shards))

    def head(self, begin: int, end: int) -> Tensor:
        """Return rows [begin:end, hidden] of the output layer."""
        return self._tensors[self._head][begin:end].float()

    def _whole(self, name: str) -> Tensor:
        if self._last is None or self._last[0] != name:
            self._last = name, self._tensors[name][:].float()
        return self._last[1]


#: Wrong in every layer. The others concern what is split over the inputs, which o_proj and down_proj are.
_OF_EVERY_LAYER = ("order ignored", "zeros off by one")


def open_weights(model: Model) -> CheckpointWeights:
    """Open the weights of a model that is on this machine.

    Raises:
        BcliError: a file cannot be read, or holds weights that the self-check cannot read.
    """
    assert model.path is not None
    files = find_weights(model.path)
    tensors: dict[str, Any] = {}
    for path in files.paths:
        tensors.update(_safetensors(path) if files.format == "safetensors" else _torch_archive(path))
    quantization = model.quantization
    packed = (quantization.method, quantization.bits or 4) if quantization else None
    return CheckpointWeights(tensors, packed)


def shape_of(model: Model) -> Shape:
    """Return what the float32 pass has to know of a model that is on this machine.

    Raises:
        BcliError: its `config.json` asks for something that the pass does not compute.
    """
    assert model.path is not None
    config = read_json(model.path / "config.json")
    if config.get("rope_scaling") is not None:
        raise BcliError(
            f"The self-check does not compute rope_scaling, which {model.path / 'config.json'} asks for.",
            exit_code=ExitCode.INVALID,
        )
    sizes = model.architecture
    defaults = {"rms_norm_eps": 1e-6, "rope_theta": 10_000.0}
    epsilon, theta = (float(config.get(name) or default) for name, default in defaults.items())
    return Shape(sizes.num_hidden_layers, sizes.num_attention_heads, sizes.vocab_size, epsilon, theta)


def _safetensors(path: Path) -> Iterator[tuple[str, Any]]:
    from safetensors import safe_open

    file: Any = safe_open(path, framework="pt")
    return ((name, file.get_slice(name)) for name in file.keys())  # noqa: SIM118  it is no mapping


def _torch_archive(path: Path) -> Mapping[str, Any]:
    import torch

    try:
        try:
            loaded: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format of PyTorch before 1.6 cannot be mapped
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise BcliError(
            f"{path.name} cannot be read without running code in it.",
            hint="Convert the weights to safetensors first; vLLM itself may still load them.",
            exit_code=ExitCode.INVALID,
        ) from error
    return loaded
