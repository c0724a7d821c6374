"""Groups of quantized weights and tensor parallelism."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from baichuan_cli.vllm_plugin.config import BaichuanConfig
from baichuan_cli.vllm_plugin.quantization import refuse_split_groups

SEVEN = BaichuanConfig(hidden_size=4096, intermediate_size=11008, num_attention_heads=32)
THIRTEEN = BaichuanConfig(hidden_size=5120, intermediate_size=13696, num_attention_heads=40)


def by_groups(group_size: int) -> SimpleNamespace:
    """A GPTQ or AWQ config of vLLM, as far as it matters."""
    return SimpleNamespace(group_size=group_size)


@pytest.mark.parametrize(
    ("config", "group_size", "world_size"),
    [
        (SEVEN, 128, 1),
        (SEVEN, 128, 2),
        (THIRTEEN, 128, 1),
        (THIRTEEN, 32, 2),
        (THIRTEEN, 32, 4),
        (SEVEN, -1, 8),
    ],
)
def test_whole_groups_pass(config: BaichuanConfig, group_size: int, world_size: int) -> None:
    refuse_split_groups(config, by_groups(group_size), world_size)


def test_weights_without_groups_pass() -> None:
    refuse_split_groups(THIRTEEN, None, 8)


def test_13b_in_groups_of_128_is_for_one_card() -> None:
    with pytest.raises(ValueError) as refusal:
        refuse_split_groups(THIRTEEN, by_groups(128), 2)
    assert str(refusal.value) == (
        "tensor_parallel_size 2 cannot split this checkpoint: 13696 (intermediate_size) ÷ 2 = 6848 is no multiple of "
        "the quantization group size 128. Use --tensor-parallel-size 1."
    )


def test_7b_in_groups_of_128_is_for_two() -> None:
    with pytest.raises(
        ValueError,
        match="11008 .* ÷ 4 = 2752 is no multiple of the quantization group size 128. Use --tensor-parallel-size 2",
    ):
        refuse_split_groups(SEVEN, by_groups(128), 4)


def test_compressed_tensors_names_its_groups_per_scheme() -> None:
    scheme = {"weights": SimpleNamespace(group_size=128), "input_activations": None}
    with pytest.raises(ValueError, match="13696"):
        refuse_split_groups(THIRTEEN, SimpleNamespace(target_scheme_map={"Linear": scheme}), 2)
