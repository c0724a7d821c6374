"""Plans in vLLM's words, for every release, and against the real vLLM where one is installed."""

from __future__ import annotations

import json
import warnings
from dataclasses import fields
from typing import Any

import pytest

from baichuan_cli.plan.release import Release
from baichuan_cli.plan.releases import engine_arguments
from baichuan_cli.plan.render import environment, llm_kwargs, sampling_kwargs, server_arguments
from baichuan_cli.plan.settings import ENGINE, SAMPLING
from plan.planning import cards, plan

H100 = cards("sm_90")


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
    assert environment(made) == {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}
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
    assert environment(made) == variables


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


@pytest.mark.parametrize(
    ("argument", "last_without", "first_with", "last_with", "first_after"),
    [
        # From the table of differences between releases; None: it exists from 0.5.0 on, or to 0.33.0.
        ("swap_space", None, "0.5.0", "0.17.1", "0.18.0"),
        ("attention_config", "0.13.0", "0.16.0", "0.33.0", None),
        ("dtype", None, "0.5.0", "0.33.0", None),
        ("tensor_parallel_size", None, "0.5.0", "0.33.0", None),
        ("max_model_len", None, "0.5.0", "0.33.0", None),
        ("gpu_memory_utilization", None, "0.5.0", "0.33.0", None),
        ("max_num_seqs", None, "0.5.0", "0.33.0", None),
        ("enforce_eager", None, "0.5.0", "0.33.0", None),
        ("quantization", None, "0.5.0", "0.33.0", None),
        ("seed", None, "0.5.0", "0.33.0", None),
    ],
)
def test_arguments_by_release(
    argument: str, last_without: str | None, first_with: str, last_with: str, first_after: str | None
) -> None:
    def has(release: str) -> bool:
        return argument in engine_arguments(Release.parse(release))

    assert has(first_with) and has(last_with)
    assert last_without is None or not has(last_without)
    assert first_after is None or not has(first_after)


class VllmHere:
    """The parts of the installed vLLM that a plan must agree with."""

    def __init__(self) -> None:
        import vllm
        from vllm.engine.arg_utils import EngineArgs
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
        from vllm.utils.argparse_utils import FlexibleArgumentParser

        from baichuan_cli.engine.installed import installed_release

        release = installed_release()
        assert release is not None
        self.release = release
        self.sampling_params: Any = vllm.SamplingParams
        self.engine_args: Any = EngineArgs
        self.parser: Any = make_arg_parser(FlexibleArgumentParser())


@pytest.fixture(scope="module")
def vllm_here() -> VllmHere:
    """Import vLLM once; it takes six to ten seconds."""
    pytest.importorskip("vllm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and vLLM's own, at import
        return VllmHere()


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


@pytest.mark.engine
class TestAgainstTheInstalledVllm:
    def test_every_argument_is_a_field_of_engine_args(self, vllm_here: VllmHere) -> None:
        known = {field.name for field in fields(vllm_here.engine_args)}
        assert engine_arguments(vllm_here.release) <= known

    def test_dropped_settings_are_truly_gone(self, vllm_here: VllmHere) -> None:
        known = {field.name for field in fields(vllm_here.engine_args)}
        gone = set(ENGINE) - engine_arguments(vllm_here.release) - {"attention_backend"}
        assert not gone & known

    def test_keyword_arguments_and_command_line_mean_the_same(self, vllm_here: VllmHere) -> None:
        made = plan("demo-alibi", "cuda", str(vllm_here.release), H100, **EVERYTHING)
        by_keyword = vllm_here.engine_args(**llm_kwargs(made))
        by_command_line = vllm_here.engine_args.from_cli_args(vllm_here.parser.parse_args(server_arguments(made)))
        for name in llm_kwargs(made):
            assert getattr(by_keyword, name) == getattr(by_command_line, name), name

    def test_every_sampling_parameter_exists(self, vllm_here: VllmHere) -> None:
        assert set(SAMPLING) <= {name for name in vllm_here.sampling_params.__struct_fields__ if name[0] != "_"}
        params = vllm_here.sampling_params(**sampling_kwargs(plan()))
        assert (params.temperature, params.max_tokens, params.stop_token_ids) == (0.0, 128, [2, 195, 196])
