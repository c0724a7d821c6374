"""Plans in vLLM's words, for every release, and against the real vLLM where one is installed."""

from __future__ import annotations

import inspect
import json
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from baichuan_cli.plan.layers import from_command_line
from baichuan_cli.plan.release import Release
from baichuan_cli.plan.releases import engine_arguments
from baichuan_cli.plan.render import environment, llm_kwargs, sampling_kwargs, server_arguments
from baichuan_cli.plan.settings import ENGINE, SAMPLING
from plan.planning import DEMO_ALIBI, cards, plan
from reference.installed_parser import server_parser

H100 = cards("sm_90")
QUIET = {"VLLM_NO_USAGE_STATS": "1"}  # in every plan


def test_demo_on_the_cpu() -> None:
    made = plan("demo", "cpu", "0.32.0")
    assert llm_kwargs(made) == {
        "model": "/models/demo",
        "dtype": "bfloat16",
        "tensor_parallel_size": 1,
        "max_model_len": 1024,
        "gpu_memory_utilization": 0.9,
        "enforce_eager": True,
        "seed": 0,
    }
    assert server_arguments(made) == [
        *("--model", "/models/demo"),
        *("--dtype", "bfloat16"),
        *("--tensor-parallel-size", "1"),
        *("--max-model-len", "1024"),
        *("--gpu-memory-utilization", "0.9"),
        "--enforce-eager",
        *("--seed", "0"),
    ]
    assert environment(made) == {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    assert sampling_kwargs(made) == {
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": -1,
        "repetition_penalty": 1.0,
        "max_tokens": 128,
        "stop_token_ids": [2, 195, 196],
    }


def test_gptq_is_left_to_vllm_where_it_has_a_faster_kernel() -> None:
    assert "quantization" not in llm_kwargs(plan("baichuan2-7b-chat-gptq", "cuda", "0.24.0", H100))
    assert llm_kwargs(plan("baichuan2-7b-chat-gptq", "k100", "0.5.0"))["quantization"] == "gptq"


@pytest.mark.parametrize(
    ("release", "arguments", "variables"),
    [
        ("0.13.0", {}, {"VLLM_ATTENTION_BACKEND": "TRITON_ATTN"}),
        ("0.14.0", {"attention_config": {"backend": "TRITON_ATTN"}}, {}),
        ("0.32.0", {"attention_config": {"backend": "TRITON_ATTN"}}, {}),
    ],
)
def test_the_attention_backend_in_each_releases_way(
    release: str, arguments: dict[str, object], variables: dict[str, str]
) -> None:
    made = plan("demo", "cuda", release, H100, attention_backend="TRITON_ATTN")
    assert {k: v for k, v in llm_kwargs(made).items() if k.startswith("attention")} == arguments
    assert environment(made) == {**variables, **QUIET}


def test_both_ways_of_saying_attention_become_one() -> None:
    made = plan("demo-alibi", "cuda", "0.26.0", H100, attention_backend="FLASH_ATTN")
    expected = {"flash_attn_version": 2, "backend": "FLASH_ATTN"}
    assert llm_kwargs(made)["attention_config"] == expected
    arguments = server_arguments(made)
    assert json.loads(arguments[arguments.index("--attention-config") + 1]) == expected


@pytest.mark.parametrize(
    ("release", "off"),
    [("0.5.0", []), ("0.8.5", ["--no-enable-prefix-caching"]), ("0.32.0", ["--no-enable-prefix-caching"])],
)
def test_off_is_said_where_it_can_be(release: str, off: list[str]) -> None:
    made = plan("demo", "cpu", release, enable_prefix_caching=False)
    assert llm_kwargs(made)["enable_prefix_caching"] is False
    assert [flag for flag in server_arguments(made) if "prefix" in flag] == off


EVERYTHING: dict[str, object] = {
    "pipeline_parallel_size": 1,
    "distributed_executor_backend": "mp",
    "disable_custom_all_reduce": True,
    "kv_cache_dtype": "auto",
    "block_size": 32,
    "max_num_seqs": 8,
    "max_num_batched_tokens": 2048,
    "enable_prefix_caching": False,
    "enable_chunked_prefill": True,
    "load_format": "auto",
    "trust_remote_code": False,
    "attention_backend": "TRITON_ATTN",
}

#: The releases on both sides of every boundary in the facts' table of differences, and those that were run.
MATRIX = (
    *("0.5.0", "0.5.1", "0.5.4", "0.5.5", "0.6.2", "0.6.3", "0.6.4", "0.6.5", "0.6.6", "0.7.3", "0.8.0", "0.8.2"),
    *("0.8.3", "0.8.5", "0.9.0.1", "0.9.2", "0.10.0", "0.10.1", "0.10.2", "0.11.0", "0.11.1", "0.12.0", "0.13.0"),
    *("0.14.0", "0.16.0", "0.17.0", "0.17.1", "0.18.0", "0.21.0", "0.22.1"),
    *("0.23.0", "0.24.0", "0.25.0", "0.29.0", "0.32.0", "0.33.0"),
)

#: First and last release of MATRIX with each setting as an argument; the attention backend is part of another one.
ARGUMENTS: dict[str, tuple[str, str]] = {
    "model": ("0.5.0", "0.33.0"),
    "dtype": ("0.5.0", "0.33.0"),
    "quantization": ("0.5.0", "0.33.0"),
    "tensor_parallel_size": ("0.5.0", "0.33.0"),
    "pipeline_parallel_size": ("0.5.0", "0.33.0"),
    "distributed_executor_backend": ("0.5.0", "0.33.0"),
    "nnodes": ("0.11.1", "0.33.0"),
    "node_rank": ("0.11.1", "0.33.0"),
    "master_addr": ("0.11.1", "0.33.0"),
    "master_port": ("0.11.1", "0.33.0"),
    "disable_custom_all_reduce": ("0.5.0", "0.33.0"),
    "max_model_len": ("0.5.0", "0.33.0"),
    "gpu_memory_utilization": ("0.5.0", "0.33.0"),
    "kv_cache_dtype": ("0.5.0", "0.33.0"),
    "block_size": ("0.5.0", "0.33.0"),
    "swap_space": ("0.5.0", "0.17.1"),
    "max_num_seqs": ("0.5.0", "0.33.0"),
    "max_num_batched_tokens": ("0.5.0", "0.33.0"),
    "enable_prefix_caching": ("0.5.0", "0.33.0"),
    "enable_chunked_prefill": ("0.5.0", "0.33.0"),
    "enforce_eager": ("0.5.0", "0.33.0"),
    "attention_config": ("0.14.0", "0.33.0"),
    "compilation_config": ("0.12.0", "0.33.0"),  # there since 0.6.6; what bcli says in it, since 0.12
    "linear_backend": ("0.22.1", "0.33.0"),
    "load_format": ("0.5.0", "0.33.0"),
    "trust_remote_code": ("0.5.0", "0.33.0"),
    "seed": ("0.5.0", "0.33.0"),
}


def test_the_table_has_every_setting() -> None:
    ruled = {"attention_config", "compilation_config", "model"}
    assert set(ARGUMENTS) == (set(ENGINE) - {"attention_backend"}) | ruled


@pytest.mark.parametrize("release", MATRIX)
def test_arguments_by_release(release: str) -> None:
    place = MATRIX.index(release)
    expected = {
        name for name, (first, last) in ARGUMENTS.items() if MATRIX.index(first) <= place <= MATRIX.index(last)
    }
    assert engine_arguments(Release.parse(release)) == expected


@pytest.mark.parametrize("release", MATRIX)
def test_everything_asked_for_is_passed_or_left_out_by_name(release: str) -> None:
    asked = {**EVERYTHING, "quantization": "fp8", "swap_space": 2.0}
    made = plan("baichuan2-7b-chat", "cuda", release, H100, **asked)
    given, variables = llm_kwargs(made), environment(made)
    backend = asked.pop("attention_backend")
    if "attention_config" in given:
        assert (given["attention_config"], variables) == ({"backend": backend}, QUIET)
    else:
        assert variables == {"VLLM_ATTENTION_BACKEND": backend, **QUIET}
    left_out = {name for name, value in asked.items() if given.get(name) != value}
    assert left_out == ({"swap_space"} if "swap_space" not in engine_arguments(Release.parse(release)) else set())
    said = [each.message for each in made.warnings if each.rule == "unsupported_setting"]
    assert [message.split()[0] for message in said] == sorted(left_out)


@pytest.mark.parametrize("release", MATRIX)
def test_what_differs_between_releases_is_never_left_to_them(release: str) -> None:
    """Defaults of these have changed, and vLLM of before 0.9.0.1 takes no top_k of 0."""
    made = plan("demo", "cuda", release, H100, layers=from_command_line({}, {"top_k": 0}))
    given = llm_kwargs(made)
    assert (given["seed"], given["gpu_memory_utilization"]) == (0, 0.9)
    sampling = sampling_kwargs(made)
    assert sampling["top_k"] == -1
    assert {"temperature", "top_p", "repetition_penalty", "max_tokens"} <= set(sampling)


def test_what_only_some_releases_have_is_not_even_a_setting() -> None:
    """The rest of the table: bcli does without these, so it needs no boundary for them."""
    assert not {
        *("device", "max_seq_len_to_capture", "rope_scaling", "rope_theta", "hf_overrides", "task", "runner"),
        *("convert", "compilation_config", "generation_config", "disable_log_requests", "enable_log_requests"),
    } & set(ENGINE)
    assert not {"best_of", "bad_words", "logit_bias"} & set(SAMPLING)


@pytest.mark.parametrize("release", MATRIX)
def test_flags_that_every_release_understands(release: str) -> None:
    """Long names with hyphens, whole numbers written out, and no `--no-…` before 0.8."""
    asked = {"enable_prefix_caching": False, "enable_chunked_prefill": False, "max_model_len": 4096}
    arguments = server_arguments(plan("baichuan2-7b-chat", "cuda", release, H100, **asked))
    assert arguments[arguments.index("--max-model-len") + 1] == "4096"
    flags = [argument for argument in arguments if argument.startswith("-")]
    assert not [flag for flag in flags if not flag.startswith("--") or "_" in flag]
    off = ["--no-enable-prefix-caching", "--no-enable-chunked-prefill"]
    assert [flag for flag in flags if flag.startswith("--no-")] == (
        off if MATRIX.index(release) >= MATRIX.index("0.8.0") else []
    )


class VllmHere:
    """The parts of the installed vLLM that a plan must agree with."""

    def __init__(self) -> None:
        import vllm
        from vllm.engine.arg_utils import EngineArgs

        from baichuan_cli.engine.installed import installed_release

        release = installed_release()
        assert release is not None
        self.release = release
        self.sampling_params: Any = vllm.SamplingParams
        self.engine_args: Any = EngineArgs
        self.parser: Any = server_parser()


@pytest.fixture(scope="module")
def vllm_here() -> VllmHere:
    """Import vLLM once; it takes six to ten seconds."""
    pytest.importorskip("vllm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and vLLM's own, at import
        return VllmHere()


@pytest.mark.engine
class TestAgainstTheInstalledVllm:
    def test_every_argument_is_a_field_of_engine_args(self, vllm_here: VllmHere) -> None:
        known = {field.name for field in fields(vllm_here.engine_args)}
        assert engine_arguments(vllm_here.release) <= known

    def test_dropped_settings_are_truly_gone(self, vllm_here: VllmHere) -> None:
        known = {field.name for field in fields(vllm_here.engine_args)}
        gone = set(ENGINE) - engine_arguments(vllm_here.release) - {"attention_backend"}
        assert not gone & known

    def test_keyword_arguments_and_command_line_mean_the_same(self, vllm_here: VllmHere, tmp_path: Path) -> None:
        model = replace(DEMO_ALIBI, path=tmp_path)  # vLLM looks whether the folder exists
        made = plan(model, "cuda", str(vllm_here.release), H100, **EVERYTHING)
        by_keyword = vllm_here.engine_args(**llm_kwargs(made))
        by_command_line = vllm_here.engine_args.from_cli_args(vllm_here.parser.parse_args(server_arguments(made)))
        for name in llm_kwargs(made):
            assert getattr(by_keyword, name) == getattr(by_command_line, name), name

    def test_every_sampling_parameter_exists(self, vllm_here: VllmHere) -> None:
        assert set(SAMPLING) <= set(inspect.signature(vllm_here.sampling_params).parameters)
        params = vllm_here.sampling_params(**sampling_kwargs(plan()))
        assert (params.temperature, params.max_tokens, params.stop_token_ids) == (0.0, 128, [2, 195, 196])
