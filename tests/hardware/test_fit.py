"""What a profile leaves to the machine."""

from __future__ import annotations

import pytest

from baichuan_cli.hardware.files import shipped_dir
from baichuan_cli.hardware.fit import fit
from baichuan_cli.hardware.load import load_profile
from baichuan_cli.hardware.machine import Device, Machine
from baichuan_cli.hardware.profile import Condition, Profile
from baichuan_cli.plan.release import Release

V032 = Release.parse("0.32.0")


def profile(name: str) -> Profile:
    return load_profile(name, user_dir=shipped_dir() / "none")


def machine(*architectures: str, flags: frozenset[str] = frozenset()) -> Machine:
    devices = tuple(Device(name, name) for name in architectures)
    return Machine(devices, host_memory_bytes=2**35, cpu_cores=8, cpu_flags=flags)


def test_bfloat16_on_a_cpu_that_has_it() -> None:
    fitted = fit(profile("cpu"), machine(flags=frozenset({"avx2", "avx512_bf16"})))
    assert fitted.settings_at(V032, 1)["dtype"].value == "bfloat16"


def test_float32_on_a_cpu_without_bfloat16() -> None:
    fitted = fit(profile("cpu"), machine(flags=frozenset({"avx2"})))
    assert fitted.settings_at(V032, 1)["dtype"].value == "float32"


def test_float16_on_a_t4() -> None:
    fitted = fit(profile("cuda"), machine("sm_75"))
    assert fitted.dtypes_at(V032, 1) == ("float16", "float32")
    assert fitted.settings_at(V032, 1)["dtype"].value == "float16"
    assert fitted.quantizations_at(V032, 1) == ("gptq", "awq", "compressed-tensors")


def test_fp8_and_marlin_on_an_h100() -> None:
    fitted = fit(profile("cuda"), machine("sm_90"))
    assert "dtype" not in fitted.settings_at(V032, 1)
    assert fitted.quantizations_at(V032, 1) == (
        "gptq",
        "awq",
        "gptq_marlin",
        "awq_marlin",
        "fp8",
        "compressed-tensors",
    )


@pytest.mark.parametrize("cards", [("sm_75", "sm_90"), ("sm_100", "sm_75"), ("sm_120", "sm_90", "sm_75")])
def test_the_oldest_of_different_cards_decides(cards: tuple[str, ...]) -> None:
    assert fit(profile("cuda"), machine(*cards)).dtypes_at(V032, 1) == ("float16", "float32")


def test_fp8_on_mi300x_but_not_on_mi250() -> None:
    assert "fp8" in fit(profile("rocm"), machine("gfx942")).quantizations_at(V032, 1)
    assert "fp8" not in fit(profile("rocm"), machine("gfx90a")).quantizations_at(V032, 1)
    assert "fp8" not in fit(profile("rocm"), machine("gfx942")).quantizations_at(Release.parse("0.5.0"), 1)


def test_channels_for_several_mi300x() -> None:
    fitted = fit(profile("rocm"), machine("gfx942", "gfx942"))
    assert fitted.environment_at(V032, 2)["NCCL_MIN_NCHANNELS"].value == 112
    assert "NCCL_MIN_NCHANNELS" not in fitted.environment_at(V032, 1)


def test_a_condition_about_several_cards_holds_for_all_that_it_gives() -> None:
    cuda = profile("cuda")
    several = Condition(
        min_tensor_parallel_size=2,
        dtypes=("float16",),
        quantizations=("fp8",),
        doubtful_quantizations={"gptq": "garbled"},
    )
    changed = cuda.model_copy(update={"conditions": (several,)})
    assert changed.dtypes_at(V032, 1) == cuda.hardware.dtypes
    assert changed.dtypes_at(V032, 2) == ("float16",)
    assert changed.quantizations_at(V032, 1) == ("gptq", "awq")
    assert changed.quantizations_at(V032, 2) == ("gptq", "awq", "fp8")
    assert (changed.doubts_at(V032, 1), changed.doubts_at(V032, 2)) == ({}, {"gptq": "garbled"})


def test_on_another_kind_of_machine_nothing_is_decided() -> None:
    cuda = profile("cuda")
    assert fit(cuda, machine("gfx942")) == cuda
    assert cuda.quantizations_at(V032, 1) == ("gptq", "awq", "compressed-tensors")
