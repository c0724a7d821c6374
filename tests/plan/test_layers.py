"""Reading what a person asks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.layers import (
    Configuration,
    from_assignments,
    from_command_line,
    from_config,
    from_environment,
)
from baichuan_cli.plan.model import Layer


def test_everything_a_config_can_say() -> None:
    content = {
        "model": "baichuan2-7b-chat",
        "profile": "./my.yaml",
        "settings": {"dtype": "float16", "enforce_eager": False, "quantization": None},
        "sampling": {"temperature": 0, "top_k": 0, "stop": "再见", "stop_token_ids": [2]},
    }
    assert from_config(content) == Configuration(
        Layer(
            "config.yaml",
            settings={"dtype": "float16", "enforce_eager": False, "quantization": None},
            sampling={"temperature": 0.0, "top_k": -1, "stop": ("再见",), "stop_token_ids": (2,)},
        ),
        model="baichuan2-7b-chat",
        profile="./my.yaml",
    )


@pytest.mark.parametrize("content", [None, {}, {"settings": None}])
def test_an_empty_config_says_nothing(content: dict[str, object] | None) -> None:
    assert from_config(content) == Configuration(Layer("config.yaml"))


def test_environment_gives_one_layer_a_variable() -> None:
    environ = {"BCLI_SEED": "7", "BCLI_DTYPE": "float32", "BCLI_HOME": "/x", "NCCL_DEBUG": "INFO"}
    assert from_environment(environ) == (
        Layer("environment", environment={"NCCL_DEBUG": "INFO"}),
        Layer("BCLI_DTYPE", settings={"dtype": "float32"}),
        Layer("BCLI_SEED", sampling={"seed": 7}),
    )


def test_options_that_were_not_given_make_no_layer() -> None:
    settings = {"dtype": None, "tensor_parallel_size": 2, "enforce_eager": False}
    assert from_command_line(settings, {"temperature": 0.0, "stop": ["a", "b,c"], "seed": None}) == (
        Layer("--tensor-parallel-size", settings={"tensor_parallel_size": 2}),
        Layer("--enforce-eager", settings={"enforce_eager": False}),
        Layer("--temperature", sampling={"temperature": 0.0}),
        Layer("--stop", sampling={"stop": ("a", "b,c")}),
    )


def test_assignments_name_any_setting() -> None:
    assert from_assignments(["block_size=32", "kv-cache-dtype=fp8", "quantization=none"]) == (
        Layer("--set block_size", settings={"block_size": 32}),
        Layer("--set kv_cache_dtype", settings={"kv_cache_dtype": "fp8"}),
        Layer("--set quantization", settings={"quantization": None}),
    )


@pytest.mark.parametrize(
    ("ask", "message", "hint", "exit_code"),
    [
        (
            lambda: from_config({"setings": {}}),
            "config.yaml: there is no key 'setings'.",
            "Did you mean settings?",
            ExitCode.INVALID,
        ),
        (
            lambda: from_config({"settings": {"tensor_paralel_size": 2}}),
            "config.yaml: settings: tensor_paralel_size: there is no setting 'tensor_paralel_size'.",
            "Did you mean tensor_parallel_size or pipeline_parallel_size?",
            ExitCode.INVALID,
        ),
        (
            lambda: from_config({"settings": ["dtype"]}),
            "config.yaml: settings: ['dtype'] is not a list of engine settings with their values.",
            "Write one on each line, indented, like this: dtype: float16",
            ExitCode.INVALID,
        ),
        (
            lambda: from_config({"model": 7}),
            "config.yaml: model: 7 is not a model's name or path.",
            "",
            ExitCode.INVALID,
        ),
        (
            lambda: from_environment({"BCLI_MAX_MODEL_LEN": "many"}),
            "BCLI_MAX_MODEL_LEN: 'many' is not a whole number, 1 or more.",
            "",
            ExitCode.USAGE,
        ),
        (
            lambda: from_environment({"BCLI_TEMPERTURE": "1"}),
            "BCLI_TEMPERTURE is no variable of bcli.",
            "Did you mean BCLI_TEMPERATURE?",
            ExitCode.USAGE,
        ),
        (
            lambda: from_command_line({"dtype": "half"}),
            "--dtype: 'half' is not one of auto, float16, bfloat16, float32.",
            "",
            ExitCode.USAGE,
        ),
        (
            lambda: from_command_line({"quantization": "gpqt"}),
            "--quantization: 'gpqt' is no quantization method.",
            "Did you mean gptq?",
            ExitCode.USAGE,
        ),
        (
            lambda: from_assignments(["attention_backend=FLASHH"]),
            "--set attention_backend: 'FLASHH' is no attention backend for Baichuan.",
            "Did you mean FLASH_ATTN or FLASH_ATTN_VLLM_V1?",
            ExitCode.USAGE,
        ),
        (
            lambda: from_assignments(["kv_cache_dtype=fp9"]),
            "--set kv_cache_dtype: 'fp9' is no type of the KV cache.",
            "Did you mean fp8?",
            ExitCode.USAGE,
        ),
        (
            lambda: from_assignments(["distributed_executor_backend=rey"]),
            "--set distributed_executor_backend: 'rey' is not one of ray, mp, uni, external_launcher.",
            "",
            ExitCode.USAGE,
        ),
        (
            lambda: from_config({"settings": {"load_format": "safetensor"}}),
            "config.yaml: settings: load_format: 'safetensor' is no load format.",
            "Did you mean safetensors, fastsafetensors or instanttensor?",
            ExitCode.INVALID,
        ),
        (
            lambda: from_environment({"BCLI_LOGPROBS": "1000"}),
            "BCLI_LOGPROBS: '1000' is not a whole number from 0 to 20.",
            "",
            ExitCode.USAGE,
        ),
        (
            lambda: from_command_line({"gpu_memory_utilization": 1.5}),
            "--gpu-memory-utilization: 1.5 is not a number above 0 to 1.",
            "",
            ExitCode.USAGE,
        ),
        (
            lambda: from_config({"sampling": {"temperature": 10**400}}),
            f"config.yaml: sampling: temperature: {10**400} is not a number from 0 to 2.",
            "",
            ExitCode.INVALID,
        ),
        (
            lambda: from_config({"sampling": {"top_k": 2**31}}),
            f"config.yaml: sampling: top_k: {2**31} is not a whole number up to 2147483647, or -1 for off.",
            "",
            ExitCode.INVALID,
        ),
        (
            lambda: from_environment({"BCLI_MAX_TOKENS": str(2**40)}),
            f"BCLI_MAX_TOKENS: '{2**40}' is not a whole number from 1 to 2147483647.",
            "",
            ExitCode.USAGE,
        ),
        (
            lambda: from_assignments(["seed=4294967296"]),
            "--set seed: '4294967296' is not a whole number from 0 to 4294967295.",
            "",
            ExitCode.USAGE,
        ),
        (
            lambda: from_assignments(["enforce_eager=maybe"]),
            "--set enforce_eager: 'maybe' is not true or false.",
            "",
            ExitCode.USAGE,
        ),
        (
            lambda: from_assignments(["block_size"]),
            "--set block_size: there is no value.",
            "Write it like --set block_size=32",
            ExitCode.USAGE,
        ),
    ],
)
def test_what_makes_no_sense_is_named(ask: Callable[[], object], message: str, hint: str, exit_code: ExitCode) -> None:
    with pytest.raises(BcliError) as caught:
        ask()
    error = caught.value
    assert (error.message, error.hint, error.exit_code) == (message, hint, exit_code)


@pytest.mark.parametrize(
    ("assignment", "hint"),
    [
        ("zzz=1", "There are: dtype, quantization, tensor_parallel_size, "),
        ("load_format=foo", "There are: auto, safetensors, pt, "),
    ],
)
def test_a_name_like_no_other_gets_the_whole_list(assignment: str, hint: str) -> None:
    with pytest.raises(BcliError) as caught:
        from_assignments([assignment])
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("attention_backend=flash_attn", "FLASH_ATTN"),
        ("attention_backend=FLASH_ATTN_CUSTOM", "FLASH_ATTN_CUSTOM"),
        ("attention_backend=None", None),
        ("quantization=GPTQ", "gptq"),
        ("quantization=slimquant_w4a8", "slimquant_w4a8"),
        ("kv_cache_dtype=FP8", "fp8"),
        ("distributed_executor_backend=MP", "mp"),
        ("dtype=BFloat16", "bfloat16"),
    ],
)
def test_names_are_read_in_any_case(assignment: str, value: str | None) -> None:
    [layer] = from_assignments([assignment])
    assert list(layer.settings.values()) == [value]


@given(st.integers(1, 10**6))
def test_a_number_reads_the_same_from_everywhere(value: int) -> None:
    read = {
        from_config({"settings": {"max_model_len": value}}).layer.settings["max_model_len"],
        from_environment({"BCLI_MAX_MODEL_LEN": str(value)})[1].settings["max_model_len"],
        from_command_line({"max_model_len": value})[0].settings["max_model_len"],
        from_assignments([f"max_model_len={value}"])[0].settings["max_model_len"],
    }
    assert read == {value}


@given(st.dictionaries(st.sampled_from(["dtype", "seed", "top_p", "stop", "block_size"]), st.text(max_size=8)))
def test_any_text_in_the_environment_is_read_or_refused(values: dict[str, str]) -> None:
    try:
        layers = from_environment({f"BCLI_{name.upper()}": text for name, text in values.items()})
    except BcliError as error:
        assert error.message.startswith("BCLI_")
    else:
        assert len(layers) == 1 + len(values)
