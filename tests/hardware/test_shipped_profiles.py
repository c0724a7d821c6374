"""The profiles that come with bcli: all valid, and every value with its evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from baichuan_cli.hardware.files import shipped_files
from baichuan_cli.hardware.load import load_profile
from baichuan_cli.hardware.profile import Preference, Profile
from baichuan_cli.plan.release import Release

NAMES = ["bw1000", "cpu", "cuda", "k100", "k100-ai", "rocm", "z100l"]
EVIDENCE = re.compile(
    r"\s*# (high|medium|low|none|arithmetic|choice)\b.*: |\s*# (high|medium|low|none|choice)\b[^:]*$"
)

V050 = Release.parse("0.5.0+das.opt4.dtk24043")
V085 = Release.parse("0.8.5")
V021 = Release.parse("0.21.0+das.dtk2604")
V032 = Release.parse("0.32.0")


def profile(name: str) -> Profile:
    return load_profile(name, user_dir=Path("/nowhere"))


def values(preferences: dict[str, Preference]) -> dict[str, object]:
    return {name: preference.value for name, preference in preferences.items()}


def test_there_are_these_seven() -> None:
    assert sorted(shipped_files()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_valid(name: str) -> None:
    assert profile(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_its_evidence_above_it(name: str) -> None:
    text = shipped_files()[name].path.read_text(encoding="utf-8")
    lines = text.splitlines()
    bare = [
        lines[number].strip() for number in value_lines(yaml.compose(text)) if not EVIDENCE.match(lines[number - 1])
    ]
    assert bare == []


def value_lines(root: yaml.MappingNode) -> Iterator[int]:
    """Yield the line of every fact, preference, condition and note; title, kind and extends need no evidence."""
    for _, value in root.value:
        if isinstance(value, yaml.MappingNode):
            yield from entry_lines(value)
        elif isinstance(value, yaml.SequenceNode):
            for item in value.value:
                if isinstance(item, yaml.MappingNode):
                    yield from entry_lines(item)
                else:
                    yield item.start_mark.line


def entry_lines(mapping: yaml.MappingNode) -> Iterator[int]:
    for key, value in mapping.value:
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from entry_lines(value)
        else:
            yield key.start_mark.line


@pytest.mark.parametrize("name", NAMES)
def test_every_preference_says_why(name: str) -> None:
    loaded = profile(name)
    preferences = [loaded.settings, loaded.environment]
    preferences += [getattr(each, kind) for each in loaded.conditions for kind in ("settings", "environment")]
    assert [key for each in preferences for key, preference in each.items() if not preference.because] == []


@pytest.mark.parametrize("name", NAMES)
def test_none_touches_what_belongs_to_the_person_or_to_the_vendor(name: str) -> None:
    text = shipped_files()[name].path.read_text(encoding="utf-8")
    loaded = profile(name)
    environments = [loaded.environment, *(condition.environment for condition in loaded.conditions)]
    for variable in ("VLLM_PLUGINS", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION"):
        assert all(variable not in environment for environment in environments)
    if name != "cpu":
        assert "_VISIBLE_DEVICES" in text


@pytest.mark.parametrize("name", ["k100", "z100l"])
def test_the_reference_readme_on_k100_and_z100l(name: str) -> None:
    loaded = profile(name)
    assert values(loaded.settings_at(V050, 1)) == {
        "dtype": "float16",
        "tensor_parallel_size": 1,
        "enforce_eager": True,
        "gpu_memory_utilization": 0.9,
    }
    assert values(loaded.environment_at(V050, 1)) == {"VLLM_USE_TRITON_FLASH_ATTN": 0}
    assert loaded.quantizations_at(V050, 1) == ("gptq",)
    assert "awq" in loaded.hardware.forbidden_quantizations
    assert V050.matches(loaded.hardware.vllm)
    assert not Release.parse("0.6.2").matches(loaded.hardware.vllm)


def test_k100_ai_from_release_to_release() -> None:
    loaded = profile("k100-ai")
    old, new = loaded.settings_at(V050, 1), loaded.settings_at(V085, 1)
    assert (old["dtype"].value, old["enforce_eager"].value) == ("float16", True)
    assert ("dtype" in new, new["enforce_eager"].value) == (False, False)
    assert loaded.dtypes_at(V050, 1) == ("float16", "float32")
    assert loaded.dtypes_at(V085, 1) == ("float16", "bfloat16", "float32")
    assert loaded.quantizations_at(V050, 1) == ("gptq", "awq")
    assert loaded.quantizations_at(V085, 1) == ("gptq", "awq", "compressed-tensors")
    assert loaded.settings_at(V021, 1)["attention_backend"].value == "TRITON_ATTN"
    assert values(loaded.environment_at(V050, 1)) == {"VLLM_USE_TRITON_FLASH_ATTN": 0}
    assert values(loaded.environment_at(V021, 2)) == {
        "ALLREDUCE_STREAM_WITH_COMPUTE": 1,
        "NCCL_MIN_NCHANNELS": 16,
        "NCCL_MAX_NCHANNELS": 16,
        "VLLM_HCU_USE_CUSTOM_QUANTIZATION_GEMM": 0,
        "VLLM_HCU_USE_CUSTOM_OPS": 0,
        "VLLM_ROCM_USE_AITER": 0,
    }


def test_z100l_has_half_the_memory_and_no_known_bandwidth() -> None:
    hardware = profile("z100l").hardware
    assert (hardware.architectures, hardware.memory_gib, hardware.memory_bandwidth_gb_s) == (("gfx906",), 32, None)


def test_bw1000_needs_a_newer_vllm_and_has_no_awq() -> None:
    loaded = profile("bw1000")
    assert not V050.matches(loaded.hardware.vllm)
    assert loaded.quantizations_at(V085, 1) == ("gptq", "compressed-tensors")
    assert "awq" in loaded.hardware.forbidden_quantizations


def test_the_cpu_runs_in_one_process() -> None:
    loaded = profile("cpu")
    assert values(loaded.environment_at(V032, 1)) == {"VLLM_ENABLE_V1_MULTIPROCESSING": 0}
    assert values(loaded.environment_at(V085, 1)) == {}
    assert loaded.quantizations_at(V050, 1) == ()
