"""What a plan says about starting: --fast-start, and where compiled things are kept."""

from __future__ import annotations

import pytest

from baichuan_cli.plan.draft import Start
from baichuan_cli.plan.explain import Row, explain
from baichuan_cli.plan.model import Finding, Layer, Plan
from baichuan_cli.plan.render import environment, llm_kwargs, server_arguments
from plan.planning import cards, plan

H100 = cards("sm_90")
FAST = Start(fast=True)
HOME = Layer("environment", environment={"HOME": "/root"})


class TestFastStart:
    def test_decoding_keeps_its_graphs_on_a_card(self) -> None:
        made = plan("demo", "cuda", "0.26.0", H100, start=FAST)
        assert llm_kwargs(made)["compilation_config"] == {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}
        arguments = server_arguments(made)
        given = arguments[arguments.index("--compilation-config") + 1]
        assert given == '{"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}'
        assert Row(
            "compilation_config",
            "mode=0, cudagraph_mode=FULL_DECODE_ONLY",
            "--fast-start",
            "nothing is compiled; decoding keeps its CUDA graphs",
        ) in explain(made)

    @pytest.mark.parametrize(("profile", "release"), [("cuda", "0.11.0"), ("rocm", "0.32.0")])
    def test_eager_where_graphs_need_compiling_or_nobody_measured(self, profile: str, release: str) -> None:
        machine = H100 if profile == "cuda" else cards("gfx942")
        made = plan("demo", profile, release, machine, start=FAST)
        assert llm_kwargs(made)["enforce_eager"] is True
        assert made.settings["enforce_eager"].source == "--fast-start"

    def test_nothing_changes_for_an_eager_engine(self) -> None:
        assert plan("demo", "cpu", start=FAST).settings == plan("demo", "cpu").settings

    def test_a_person_who_wants_graphs_as_well_is_told(self) -> None:
        made = plan("demo", "cuda", "0.11.0", H100, start=FAST, enforce_eager=False)
        assert made.findings == (
            Finding(
                "warning",
                "fast_start",
                "--fast-start changes nothing: without graphs it would be sooner, and --enforce-eager wants them.",
            ),
        )


class TestCaches:
    def kept(self, made: Plan) -> dict[str, str]:
        return {name: value for name, value in environment(made).items() if "CACHE" in name and "KVCACHE" not in name}

    def test_triton_keeps_its_kernels_for_all_models(self) -> None:
        made = plan("demo", "cuda", "0.26.0", H100, layers=(HOME,))
        assert self.kept(made) == {"TRITON_CACHE_DIR": "/root/.triton/cache"}

    def test_everything_lies_in_the_one_folder_of_a_container(self) -> None:
        made = plan("demo", "cuda", "0.26.0", H100, layers=(HOME,), start=Start(cache_dir="/data/cache"))
        assert self.kept(made) == {
            "VLLM_CACHE_ROOT": "/data/cache/vllm",
            "TRITON_CACHE_DIR": "/data/cache/triton",
            "CUDA_CACHE_PATH": "/data/cache/cuda",
        }

    def test_a_persons_own_folder_stays(self) -> None:
        own = Layer("environment", environment={"HOME": "/root", "TRITON_CACHE_DIR": "/fast/triton"})
        assert self.kept(plan("demo", "cuda", "0.26.0", H100, layers=(own,))) == {}

    def test_only_on_nvidia_cards(self) -> None:
        assert self.kept(plan("demo", "cpu", layers=(HOME,), start=Start(cache_dir="/data/cache"))) == {}
