"""The roofline's arithmetic against figures worked out apart from it, for all four published shapes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from baichuan_cli.bench.record import ModelRecord, Record, SettingRecord, Value, now
from baichuan_cli.bench.roofline import Load, prefill_operations, what_to_check
from baichuan_cli.catalog.resolve import resolve_model

SHAPES = {"baichuan-7b": (13.48, 115), "baichuan2-7b": (13.98, 111), "baichuan-13b-base": (25.87, 60)}


@pytest.mark.parametrize("name", SHAPES)
def test_a_step_reads_all_weights_but_the_embedding(name: str) -> None:
    gigabytes, ceiling = SHAPES[name]
    load = Load(resolve_model(name), "float16", 2, 1)
    assert load.step_weight_bytes / 1e9 == pytest.approx(gigabytes, rel=0.002)
    # At 1,555 GB/s, an A100's bandwidth, so many tokens a second are all of it.
    assert load.mbu(1, 0, 1 / ceiling, 1555) == pytest.approx(1, rel=0.01)


def test_the_cache_is_read_as_well() -> None:
    load = Load(resolve_model("baichuan2-7b"), "float16", 2, 1)
    assert load.step_bytes(4096) - load.step_bytes(0) == 2 * 2**30  # 4,096 tokens of 512 KiB
    eight_bits = Load(resolve_model("baichuan2-7b"), "float16", 1, 1)
    assert eight_bits.step_bytes(4096) - eight_bits.step_bytes(0) == 2**30


def test_cards_share_bytes_and_operations() -> None:
    model = resolve_model("baichuan2-7b")
    one, two = Load(model, "float16", 2, 1), Load(model, "float16", 2, 2)
    assert two.step_weight_bytes == pytest.approx(one.step_weight_bytes / 2, rel=0.001)
    assert two.mfu([512], 1, 100) == pytest.approx(one.mfu([512], 1, 100) / 2)


@pytest.mark.parametrize(("name", "milliseconds"), [("baichuan-7b", 88.6), ("baichuan-13b-base", 171)])
def test_prefill_of_2048_tokens_at_an_a100s_peak(name: str, milliseconds: float) -> None:
    load = Load(resolve_model(name), "float16", 2, 1)
    assert load.mfu([2048], milliseconds / 1000, 312) == pytest.approx(1, rel=0.005)


def test_attention_grows_with_the_square() -> None:
    architecture = resolve_model("baichuan2-7b").architecture
    linear = 2 * architecture.linear_parameters
    extra = prefill_operations(architecture, 2000) - 2 * prefill_operations(architecture, 1000)
    head = 2 * architecture.vocab_size * architecture.hidden_size
    assert extra + head == 2 * 32 * 4096 * (2000**2 - 2 * 1000**2)
    assert prefill_operations(architecture, 1) == linear + head + 2 * 32 * 4096


@pytest.mark.parametrize(
    ("settings", "cards", "told"),
    [
        ({"enforce_eager": True}, [], "try --no-enforce-eager; what else runs on these cores"),
        (
            {"enforce_eager": True},
            [{"clocks.sm": "1200"}],
            "try --no-enforce-eager; clocks and power limit (recorded in the run)",
        ),
        ({"attention_backend": "TRITON_ATTN"}, [{}], "clocks and power limit; attention backend TRITON_ATTN"),
        (
            {"dtype": "float32"},
            [],
            "float32 moves twice the bytes: try --dtype bfloat16 or float16; what else runs on these cores",
        ),
    ],
)
def test_what_to_check_first(settings: Mapping[str, Value], cards: list[dict[str, str]], told: str) -> None:
    usual: Mapping[str, Value] = {"enforce_eager": False, "dtype": "bfloat16", "attention_backend": None}
    record = Record(
        kind="throughput",
        started=now(),
        model=ModelRecord(name="demo"),
        shape={},
        environment={"accelerators": cards},
        settings={name: SettingRecord(value=value, source="--set") for name, value in {**usual, **settings}.items()},
        metrics=(),
    )
    assert what_to_check(record, prefill=False) == told
