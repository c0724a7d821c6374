"""What holds for every plan, and who wins where several sources speak."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.errors import BcliError
from baichuan_cli.hardware.machine import Machine
from baichuan_cli.hardware.profile import Preference
from baichuan_cli.plan.layers import from_command_line, from_config, from_environment
from baichuan_cli.plan.model import Layer, Plan, Setting
from baichuan_cli.plan.release import Release
from baichuan_cli.plan.releases import engine_arguments
from baichuan_cli.plan.render import llm_kwargs
from baichuan_cli.plan.resolve import resolve
from plan.planning import CPU, DEMO, cards, catalogue_model, plan, shipped_profile

#: What is silently wrong, by the rule that says so: none of these may ever be forced.
SILENTLY_WRONG = {"alibi_kv_cache", "alibi_on_rocm", "context_length"}

MODELS = (
    "demo",
    "demo-alibi",
    "baichuan-7b",
    "baichuan2-7b-chat",
    "baichuan2-13b-chat",
    "baichuan2-7b-chat-gptq-int4",
    "baichuan2-13b-chat-gptq",
    "baichuan2-13b-chat-gptq-32g",
    "baichuan2-13b-chat-4bits",
)
RELEASES = (
    *("0.4.2", "0.5.0", "0.5.0+das.opt4.dtk24043", "0.5.5", "0.6.3", "0.8.2", "0.8.5", "0.9.2", "0.10.2", "0.11.0"),
    *("0.13.0", "0.14.1", "0.16.0", "0.18.1", "0.23.0", "0.24.0", "0.25.1", "0.32.0", "0.33.0", "0.40.0"),
)
MACHINES = (
    CPU,
    replace(CPU, numa_nodes=2, cpu_cores=64),
    cards("sm_75", 4, memory_gib=16),
    cards("sm_90", 8),
    cards("sm_100", memory_gib=None),
    cards("gfx928", 2, memory_gib=64),
    cards("gfx942", 8, memory_gib=192),
)
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["float16", "bfloat16", "float32"]),
        "tensor_parallel_size": st.integers(1, 16),
        "pipeline_parallel_size": st.integers(1, 4),
        "quantization": st.sampled_from(["none", "gptq", "gptq_marlin", "awq", "fp8", "slimquant_w4a8"]),
        "max_model_len": st.integers(1, 8192),
        "gpu_memory_utilization": st.floats(0.05, 1.0),
        "kv_cache_dtype": st.sampled_from(["auto", "fp8"]),
        "swap_space": st.integers(0, 8),
        "enable_prefix_caching": st.booleans(),
        "enforce_eager": st.booleans(),
        "attention_backend": st.sampled_from(
            ["FLASHINFER", "FLASH_ATTN", "TRITON_ATTN", "FLEX_ATTENTION", "FLASH_ATTN_CUSTOM"]
        ),
        "trust_remote_code": st.booleans(),
        "seed": st.integers(0, 99),
    },
)
SITUATIONS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "profile": st.sampled_from(["k100", "z100l", "k100-ai", "bw1000", "rocm", "cuda", "cpu"]),
        "release": st.sampled_from(RELEASES),
        "machine": st.sampled_from(MACHINES),
        "purpose": st.sampled_from(["offline", "server"]),
    }
)


@given(SITUATIONS, ASKED)
def test_the_same_question_has_the_same_answer(situation: dict, asked: dict) -> None:
    assert plan(**situation, **asked) == plan(**situation, **asked)


@given(SITUATIONS, ASKED)
def test_the_command_line_wins_or_a_finding_says_why(situation: dict, asked: dict) -> None:
    made = plan(**situation, **asked)
    said = " ".join(finding.message for finding in made.findings)
    for name, value in asked.items():
        setting = made.settings[name]
        if setting.source == "--" + name.replace("_", "-"):
            assert setting.value == (None if value == "none" else value)
        else:
            assert f"{name} " in said


@given(SITUATIONS, ASKED)
def test_every_setting_has_a_source_and_every_decision_a_reason(situation: dict, asked: dict) -> None:
    made = plan(**situation, **asked)
    for setting in (*made.settings.values(), *made.environment.values(), *made.sampling.values()):
        assert setting.source
        if setting.source.startswith(("profile ", "rule ")):
            assert setting.reason


@given(SITUATIONS, ASKED)
def test_force_spares_capability_and_nothing_else(situation: dict, asked: dict) -> None:
    plain, forced = plan(**situation, **asked), plan(**situation, force=True, **asked)
    assert forced.settings == plain.settings
    assert [replace(each, severity="refusal") for each in forced.findings if each.forceable] == [
        each for each in plain.refusals if each.forceable
    ]
    assert forced.refusals == tuple(each for each in plain.refusals if not each.forceable)


@given(SITUATIONS, ASKED)
def test_silent_wrongness_is_never_forceable(situation: dict, asked: dict) -> None:
    made = plan(**situation, force=True, **asked)
    alibi = made.model.architecture.position_embedding == "alibi"
    tensor_parallel = made.settings["tensor_parallel_size"].value
    release, passed = made.release, not made.refusals
    if passed and tensor_parallel != 1:
        assert not release.matches(">=0.8.3,<0.9.0.1")
    if passed and alibi:
        assert made.settings["attention_backend"].value != "FLASHINFER"
        assert not (made.profile_name == "rocm" and release.matches("<0.5.4"))
    if passed and not alibi:
        assert made.settings["max_model_len"].value <= made.model.architecture.context_length
    assert not {finding.rule for finding in made.findings if finding.forceable} & SILENTLY_WRONG


@given(SITUATIONS, ASKED)
def test_vllm_is_given_nothing_that_it_does_not_have(situation: dict, asked: dict) -> None:
    made = plan(**situation, **asked)
    arguments = llm_kwargs(made)
    assert set(arguments) <= engine_arguments(made.release)
    assert {"model", "dtype", "max_model_len", "gpu_memory_utilization", "seed"} <= set(arguments)
    assert None not in arguments.values()


def _resolve(layers: tuple[Layer, ...], machine: Machine = CPU) -> Plan:
    return resolve(DEMO, shipped_profile("cpu"), Release.parse("0.32.0"), machine, layers)


def test_precedence() -> None:
    file = from_config(
        {"settings": {"max_num_seqs": 1, "block_size": 32, "load_format": "auto", "enforce_eager": False}}
    )
    variables = from_environment({"BCLI_MAX_NUM_SEQS": "2", "BCLI_BLOCK_SIZE": "64"})
    options = from_command_line({"max_num_seqs": 3})
    settings = _resolve((file.layer, *variables, *options)).settings
    assert {name: settings[name] for name in ("max_num_seqs", "block_size", "load_format", "enforce_eager")} == {
        "max_num_seqs": Setting(3, "--max-num-seqs", ""),
        "block_size": Setting(64, "BCLI_BLOCK_SIZE", ""),
        "load_format": Setting("auto", "config.yaml", ""),
        "enforce_eager": Setting(False, "config.yaml", ""),
    }
    assert settings["max_model_len"].source == "model"
    assert settings["tensor_parallel_size"].source == "profile cpu"
    assert settings["pipeline_parallel_size"] == Setting(1, "vLLM default", "")


def test_a_profile_may_ask_for_less_context_than_the_model_has() -> None:
    def length(preferred: int) -> Setting:
        profile = shipped_profile("cpu")
        settings = {**profile.settings, "max_model_len": Preference(value=preferred, because="short answers")}
        profile = profile.model_copy(update={"settings": settings})
        return resolve(DEMO, profile, Release.parse("0.32.0"), CPU).settings["max_model_len"]

    assert length(512) == Setting(512, "profile cpu", "short answers")
    assert length(4096) == Setting(1024, "model", "config.json max_position_embeddings")


def test_a_profiles_variable_gives_way_to_an_exported_one() -> None:
    name = "VLLM_ENABLE_V1_MULTIPROCESSING"
    assert _resolve(()).environment[name].source == "profile cpu"
    exported = from_environment({name: "1", "HOME": "/root"})
    assert _resolve(exported).environment[name] == Setting("1", "environment", "exported by you")
    assert "HOME" not in _resolve(exported).environment


def test_a_profile_that_makes_no_sense_is_refused() -> None:
    profile = shipped_profile("cpu")
    unknown = profile.model_copy(update={"settings": {"tensor_paralel_size": Preference(value=2)}})
    with pytest.raises(BcliError, match="profile cpu: tensor_paralel_size: there is no setting"):
        resolve(DEMO, unknown, Release.parse("0.32.0"), CPU)
    wrong = profile.model_copy(update={"settings": {"tensor_parallel_size": Preference(value="two")}})
    with pytest.raises(BcliError, match="profile cpu: tensor_parallel_size: 'two' is not a whole number, 1 or more"):
        resolve(DEMO, wrong, Release.parse("0.32.0"), CPU)


def test_a_plan_cannot_be_changed() -> None:
    made = plan()
    assert isinstance(made.settings, MappingProxyType)
    with pytest.raises(TypeError):
        made.settings["dtype"] = made.settings["seed"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        made.release = Release.parse("0.5.0")  # type: ignore[misc]


def test_planning_for_a_model_that_is_elsewhere_needs_no_files() -> None:
    assert llm_kwargs(plan(catalogue_model("baichuan2-7b-chat"), "k100-ai", "0.9.2"))["model"] == "baichuan2-7b-chat"
