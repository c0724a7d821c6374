"""How much memory a model takes on each card: plain arithmetic from its shape.

Sizes are bytes. A tensor-parallel rank holds its share of every matrix and all of the norms, which are tiny.
"""

from __future__ import annotations

from typing import NamedTuple

from baichuan_cli.catalog.model import DTYPE_BYTES, Architecture, Model, Quantization

#: The group size of nearly every published checkpoint; assumed where nothing says otherwise.
USUAL_GROUP_SIZE = 128

_VOCAB_PADDING = 64  # vLLM pads the embedding and the head to a multiple of this before it splits them
_SCALE_BYTES = 2  # float16
_G_IDX_BYTES = 4  # GPTQ keeps one int32 for each input feature


class _Linear(NamedTuple):
    inputs: int
    outputs: int


def weight_memory_bytes(model: Model, dtype: str, tensor_parallel_size: int = 1) -> int:
    """Return what the weights take on one card once vLLM has loaded them.

    Weights that are not quantized are converted to `dtype` on loading; quantized layers stay packed, while the
    embedding, the head and the norms take `dtype`.

    Args:
        model: the checkpoint.
        dtype: "float16", "bfloat16" or "float32".
        tensor_parallel_size: over how many cards the matrices are split.
    """
    architecture, quantization, element = model.architecture, model.quantization, DTYPE_BYTES[dtype]
    linears = _block_linears(architecture, tensor_parallel_size)
    if quantization is None:
        block = sum(linear.inputs * linear.outputs * element for linear in linears)
    elif quantization.grouped and quantization.bits:
        block = sum(_packed_bytes(linear, quantization, quantization.bits) for linear in linears)
    else:
        return model.weight_bytes // tensor_parallel_size  # as stored: such formats differ too much to calculate
    padded_vocab = -(-architecture.vocab_size // _VOCAB_PADDING) * _VOCAB_PADDING
    embedding_and_head = 2 * padded_vocab * architecture.hidden_size // tensor_parallel_size
    norms = (2 * architecture.num_hidden_layers + 1) * architecture.hidden_size
    return architecture.num_hidden_layers * block + (embedding_and_head + norms) * element


def kv_bytes_per_token(architecture: Architecture, dtype: str, tensor_parallel_size: int = 1) -> int:
    """Return what one token takes in the KV cache of one card: a key and a value in every layer.

    No Baichuan shares KV heads, so both are `hidden_size` wide.
    """
    elements = 2 * architecture.num_hidden_layers * architecture.hidden_size
    return elements * DTYPE_BYTES[dtype] // tensor_parallel_size


def kv_cache_bytes(architecture: Architecture, tokens: int, dtype: str, tensor_parallel_size: int = 1) -> int:
    """Return what the KV cache of one card takes for a number of tokens."""
    return tokens * kv_bytes_per_token(architecture, dtype, tensor_parallel_size)


def _block_linears(architecture: Architecture, tensor_parallel_size: int) -> tuple[_Linear, ...]:
    """Return one rank's linear layers of a block: W_pack, gate and up split by outputs, o and down by inputs."""
    hidden, hidden_share = architecture.hidden_size, architecture.hidden_size // tensor_parallel_size
    intermediate_share = architecture.intermediate_size // tensor_parallel_size
    return (
        _Linear(hidden, 3 * hidden_share),
        _Linear(hidden_share, hidden),
        _Linear(hidden, intermediate_share),
        _Linear(hidden, intermediate_share),
        _Linear(intermediate_share, hidden),
    )


def _packed_bytes(linear: _Linear, quantization: Quantization, bits: int) -> int:
    """Return the packed weights with, for each group of inputs and each output, a scale and a packed zero point."""
    group_size = quantization.group_size or USUAL_GROUP_SIZE
    groups = 1 if group_size == -1 else -(-linear.inputs // group_size)
    packed = linear.inputs * linear.outputs * bits // 8
    per_group = groups * linear.outputs * _SCALE_BYTES + groups * linear.outputs * bits // 8
    g_idx = linear.inputs * _G_IDX_BYTES if quantization.method == "gptq" else 0
    return packed + per_group + g_idx
