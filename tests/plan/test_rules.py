"""Each rule: what it decides, what it refuses, and whether --force may go past it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from baichuan_cli.catalog.model import Model, Quantization
from baichuan_cli.errors import BcliError
from baichuan_cli.plan.model import Finding, Layer, Plan, Setting
from baichuan_cli.sizes import GIB
from plan.planning import CPU, cards, catalogue_model, plan

H100 = cards("sm_90")
B200 = cards("sm_100", memory_gib=180)
T4 = cards("sm_75", memory_gib=16)
A100 = cards("sm_80")

BASE_7B = catalogue_model("baichuan2-7b-base")
BASE_13B = catalogue_model("baichuan2-13b-base")
GPTQ_7B = replace(
    catalogue_model("baichuan2-7b-chat-gptq"), quantization=Quantization("gptq", 4, group_size=128, desc_act=False)
)
GPTQ_13B = replace(
    catalogue_model("baichuan2-13b-chat-gptq"), quantization=Quantization("gptq", 4, group_size=128, desc_act=False)
)


def quantized(model: Model, **changes: object) -> Model:
    assert model.quantization is not None
    return replace(model, quantization=replace(model.quantization, **changes))


def refusals(made: Plan) -> list[tuple[str, bool]]:
    """Return the rule and the forceability of every refusal."""
    return [(finding.rule, finding.forceable) for finding in made.refusals]


class TestRelease:
    @pytest.mark.parametrize(
        ("release", "expected"),
        [
            ("0.4.3", [("refusal", "vLLM 0.4.3 is too old: bcli knows 0.5.0 to 0.33.")]),
            ("0.5.0rc1", [("refusal", "vLLM 0.5.0rc1 is too old: bcli knows 0.5.0 to 0.33.")]),
            ("0.5.0+cpu", []),
            ("0.33.2", []),
            (
                "0.34.0",
                [("warning", "vLLM 0.34.0 is newer than bcli knows (0.5.0 to 0.33); settings may have changed")],
            ),
        ],
    )
    def test_only_known_releases_pass_without_a_word(self, release: str, expected: list[tuple[str, str]]) -> None:
        found = [each for each in plan("demo", "cpu", release).findings if each.rule == "known_release"]
        assert [(each.severity, each.message) for each in found] == expected

    @pytest.mark.parametrize("profile", ["cpu", "cuda", "rocm", "k100", "z100l", "k100-ai", "bw1000"])
    def test_too_old_is_said_once_and_never_forced(self, profile: str) -> None:
        assert refusals(plan("demo", profile, "0.4.0", force=True)) == [("known_release", False)]

    def test_old_python(self) -> None:
        made = plan("demo", "cpu", "0.32.0", replace(CPU, python=(3, 10)))
        assert made.refusals == (
            Finding(
                "refusal",
                "python",
                "vLLM 0.32.0 needs Python 3.11 or later; this is 3.10.",
                "Use Python 3.11, or an older vLLM.",
                forceable=True,
            ),
        )
        assert not plan("demo", "cpu", "0.31.0", replace(CPU, python=(3, 10))).refusals

    def test_a_release_that_the_hardware_does_not_run(self) -> None:
        refusal = plan(BASE_7B, "k100", "0.8.5").refusals[0]
        assert refusal.message == "vLLM 0.8.5 is outside >=0.5.0,<0.6, what k100 runs."
        assert not plan(BASE_7B, "k100", "0.5.0+das.opt4.dtk24043").refusals

    def test_a_setting_that_the_release_lacks_is_dropped_by_name(self) -> None:
        made = plan(release="0.32.0", swap_space=2)
        assert made.settings["swap_space"] == Setting(
            None, "vLLM 0.32.0", "vLLM has swap_space only in releases <0.18"
        )
        assert made.findings == (
            Finding(
                "warning",
                "unsupported_setting",
                "swap_space 2 (--swap-space) is left out: vLLM has swap_space only in releases <0.18",
            ),
        )
        assert plan(release="0.17.1", swap_space=2).settings["swap_space"].value == 2

    def test_what_differs_between_releases_is_always_passed(self) -> None:
        settings = plan("demo", "cpu").settings
        assert settings["seed"] == Setting(0, "rule pinned", "vLLM's own default was none for some releases")
        assert settings["gpu_memory_utilization"].value == 0.9


class TestHardware:
    def test_a_card_that_vllm_does_not_support(self) -> None:
        refusal = next(each for each in plan(BASE_7B, "rocm", "0.16.0", cards("gfx906")).refusals)
        assert refusal.rule == "architecture"
        assert refusal.message.startswith("gfx906 (gfx906): vLLM does not support MI50")

    def test_a_profile_about_other_cards(self) -> None:
        warnings = plan(BASE_7B, "k100", "0.5.0", cards("gfx928", memory_gib=64)).warnings
        assert "profile k100 is about gfx926, and this machine has gfx928 (gfx928)" in [w.message for w in warnings]

    def test_the_first_release_wants_avx512_on_the_cpu(self) -> None:
        old = replace(CPU, cpu_flags=frozenset({"avx2"}))
        assert plan("demo", "cpu", "0.5.0+cpu", old).refusals == (
            Finding(
                "refusal",
                "cpu_kernels",
                "vLLM 0.5.0+cpu on the CPU needs AVX-512, which this processor does not have.",
                "Use vLLM 0.5.1 or later.",
                forceable=True,
            ),
        )
        assert not plan("demo", "cpu", "0.5.1", old).refusals
        assert not plan("demo", "cpu", "0.5.0").refusals

    def test_a_harmful_variable(self) -> None:
        exported = Layer("environment", environment={"HSA_OVERRIDE_GFX_VERSION": "9.0.6"})
        warnings = plan(BASE_7B, "k100", "0.5.0", layers=(exported,)).warnings
        assert ("environment", "unset HSA_OVERRIDE_GFX_VERSION") in [(w.rule, w.hint) for w in warnings]


class TestPlugins:
    """VLLM_PLUGINS names the only plugins that vLLM loads."""

    @pytest.mark.parametrize(
        ("exported", "release", "hint"),
        [
            ("hcu,hcu_model", "0.25.1", "unset VLLM_PLUGINS, or export VLLM_PLUGINS=hcu,hcu_model,baichuan"),
            ("", "0.32.0", "unset VLLM_PLUGINS, or export VLLM_PLUGINS=baichuan"),
            # vLLM does not strip the names.
            ("hcu, baichuan", "0.32.0", "unset VLLM_PLUGINS, or export VLLM_PLUGINS=hcu,baichuan"),
            ("hcu", "0.24.0", None),  # Baichuan is part of it
            ("baichuan", "0.32.0", None),
            (None, "0.32.0", None),
        ],
    )
    def test_a_list_without_ours_is_refused_before_loading(
        self, exported: str | None, release: str, hint: str | None
    ) -> None:
        variables = {} if exported is None else {"VLLM_PLUGINS": exported}
        made = plan("demo", "cpu", release, layers=(Layer("environment", environment=variables),))
        message = (
            f"VLLM_PLUGINS={exported} is set: it keeps bcli's plugin baichuan out, and vLLM {release} has no Baichuan"
            " without it."
        )
        assert made.refusals == (
            () if hint is None else (Finding("refusal", "plugin_allowed", message, hint, forceable=True),)
        )

    @pytest.mark.parametrize(
        ("exported", "expected"),
        [
            ("hcu,hcu_model,hcu_ops,baichuan", []),
            ("hcu,hcu_model,hcu_ops", [("plugin_allowed", "refusal")]),
            ("baichuan", [("environment", "warning")]),  # without the vendor's the card is not found
        ],
    )
    def test_the_vendors_plugins_beside_ours(self, exported: str, expected: list[tuple[str, str]]) -> None:
        layer = Layer("environment", environment={"VLLM_PLUGINS": exported})
        made = plan("demo", "k100-ai", "0.25.1", cards("gfx928", memory_gib=64), layers=(layer,))
        assert [(each.rule, each.severity) for each in made.findings] == expected
        assert made.environment["VLLM_PLUGINS"] == Setting(exported, "environment", "exported by you")

    @pytest.mark.parametrize(("release", "expected"), [("0.24.0", 1), ("0.5.5", 1), ("0.5.4", 0)])
    def test_where_baichuan_is_part_of_vllm_ours_still_reads_configuration_and_tokenizer(
        self, release: str, expected: int
    ) -> None:
        layer = Layer("environment", environment={"VLLM_PLUGINS": "hcu"})
        found = [
            each for each in plan("demo", "cpu", release, layers=(layer,)).warnings if each.rule == "plugin_allowed"
        ]
        assert [(each.message, each.hint) for each in found] == [
            (
                f"VLLM_PLUGINS=hcu is set: it keeps bcli's plugin baichuan out, and vLLM {release} may ask for the"
                " checkpoint's own code",
                "unset VLLM_PLUGINS, or export VLLM_PLUGINS=hcu,baichuan",
            )
        ] * expected

    def test_the_name_is_that_of_the_entry_point(self) -> None:
        from importlib.metadata import entry_points

        [ours] = entry_points(group="vllm.general_plugins", name="baichuan")
        assert ours.value.startswith("baichuan_cli.")


class TestCheckpoint:
    def test_the_4bits_repositories_are_refused(self) -> None:
        made = plan("baichuan2-7b-chat-4bits", "cuda", "0.24.0", H100)
        assert made.refusals[0].rule == "loadable"
        assert made.refusals[0].message.startswith("vLLM cannot load baichuan2-7b-chat-4bits: ")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({}, None),
            (
                {"hidden_size": 2048},
                "hidden_size 2048: vLLM 0.24.0 would take the positions of baichuan2-7b-base for alibi,"
                " and they are rope.",
            ),
            (
                {"vocab_size": 125_824},
                "vocab_size 125824: vLLM 0.24.0 would leave out the normalised output layer of Baichuan 2.",
            ),
            (
                {"norm_head": False},
                "vocab_size 125696: vLLM 0.24.0 would add the normalised output layer of Baichuan 2.",
            ),
        ],
    )
    def test_what_vllm_itself_would_misread(self, changes: dict[str, object], message: str | None) -> None:
        model = replace(BASE_7B, architecture=replace(BASE_7B.architecture, **changes))
        made = plan(model, "cuda", "0.24.0", A100, force=True)
        assert [(each.message, each.forceable) for each in made.refusals] == ([(message, False)] if message else [])
        assert not plan(model, "cuda", "0.25.1", A100).refusals

    @pytest.mark.parametrize(
        ("release", "purpose", "asked", "expected"),
        [
            ("0.5.0", "offline", {}, []),
            ("0.5.4", "server", {}, []),
            ("0.5.4", "server", {"trust_remote_code": True}, [("warning", False)]),
            ("0.5.5", "server", {}, []),
            ("0.32.0", "server", {"trust_remote_code": True}, [("warning", False)]),
        ],
    )
    def test_no_release_needs_remote_code(
        self,
        release: str,
        purpose: str,
        asked: dict[str, object],
        expected: list[tuple[str, bool]],
    ) -> None:
        findings = plan("demo", "cpu", release, purpose=purpose, **asked).findings
        assert [(f.severity, f.forceable) for f in findings if f.rule == "remote_code"] == expected


class TestDtype:
    @pytest.mark.parametrize(
        ("model", "profile", "release", "machine", "expected"),
        [
            (BASE_7B, "z100l", "0.5.0", CPU, "float16"),  # bfloat16 weights on float16 hardware
            (BASE_7B, "cuda", "0.24.0", A100, "bfloat16"),
            (BASE_7B, "cuda", "0.24.0", T4, "float16"),  # no bfloat16 below compute capability 8.0
            (replace(BASE_7B, weights_dtype="float32"), "cuda", "0.24.0", A100, "bfloat16"),
            (replace(BASE_7B, weights_dtype="float32"), "cuda", "0.24.0", T4, "float16"),
            (replace(BASE_7B, weights_dtype="float16"), "cuda", "0.24.0", A100, "float16"),
            (replace(GPTQ_7B, weights_dtype="bfloat16"), "cuda", "0.24.0", A100, "float16"),
            (GPTQ_7B, "bw1000", "0.8.5", CPU, "float16"),
            (GPTQ_7B, "cpu", "0.32.0", CPU, "bfloat16"),  # its kernels take both
            (GPTQ_7B, "cpu", "0.32.0", replace(CPU, cpu_flags=frozenset({"avx2"})), "float16"),
        ],
    )
    def test_what_is_chosen(self, model: Model, profile: str, release: str, machine: object, expected: str) -> None:
        made = plan(model, profile, release, machine)
        assert made.settings["dtype"].value == expected
        assert made.settings["dtype"].reason

    @pytest.mark.parametrize(
        ("model", "profile", "machine", "dtype", "message"),
        [
            (
                BASE_7B,
                "z100l",
                CPU,
                "bfloat16",
                "dtype bfloat16: Hygon Z100L (and Z100), 32 GB computes in float16 or float32.",
            ),
            (BASE_7B, "cuda", T4, "bfloat16", "dtype bfloat16: NVIDIA GPU with CUDA computes in float16 or float32."),
            (GPTQ_7B, "bw1000", CPU, "bfloat16", "dtype bfloat16: gptq kernels compute in float16 here."),
            (GPTQ_7B, "cpu", CPU, "float32", "dtype float32: gptq kernels compute in float16 or bfloat16 here."),
        ],
    )
    def test_what_a_person_may_not_ask_for(
        self, model: Model, profile: str, machine: object, dtype: str, message: str
    ) -> None:
        release = {"z100l": "0.5.0", "bw1000": "0.9.2"}.get(profile, "0.24.0")
        found = [each for each in plan(model, profile, release, machine, dtype=dtype).refusals if each.rule == "dtype"]
        assert [(each.message, each.forceable) for each in found] == [(message, True)]

    def test_what_a_person_may_ask_for(self) -> None:
        assert plan(BASE_7B, "cuda", "0.24.0", A100, dtype="float32").settings["dtype"].value == "float32"
        marlin = plan(GPTQ_7B, "cuda", "0.24.0", A100, dtype="bfloat16")
        assert (marlin.settings["dtype"].value, marlin.refusals) == ("bfloat16", ())

    def test_auto_means_the_weights(self) -> None:
        setting = plan("demo", "cpu", dtype="auto").settings["dtype"]
        assert setting == Setting("bfloat16", "--dtype", "auto: weights are bfloat16")
        assert plan(BASE_7B, "z100l", "0.5.0", dtype="auto").settings["dtype"] == Setting(
            "float16", "rule dtype", "the hardware computes in float16 or float32; weights are bfloat16"
        )


class TestQuantization:
    def test_forbidden_here_with_the_reason(self) -> None:
        awq = replace(GPTQ_7B, quantization=Quantization("awq", 4, 128))
        refusal = plan(awq, "k100", "0.5.0").refusals[0]
        assert refusal.message == (
            "quantization awq does not run on k100: not supported on K100 and Z100L (reference README)."
        )
        assert refusal.forceable

    def test_unknown_here(self) -> None:
        refusal = plan(GPTQ_7B, "cpu", "0.5.0").refusals[0]
        assert refusal.message == ("quantization gptq is not known to work on cpu with vLLM 0.5.0: none works.")
        assert not plan(GPTQ_7B, "cpu", "0.31.0").refusals

    @pytest.mark.parametrize(
        ("model", "asked", "message"),
        [
            (BASE_7B, "gptq", "quantization gptq: the weights of baichuan2-7b-base are not quantized."),
            (GPTQ_7B, "awq", "quantization awq: the weights of baichuan2-7b-chat-gptq-int4 are gptq quantized."),
            (GPTQ_7B, "none", "quantization none: the weights of baichuan2-7b-chat-gptq-int4 are gptq quantized."),
        ],
    )
    def test_another_method_than_the_checkpoint_has(self, model: Model, asked: str, message: str) -> None:
        assert [each.message for each in plan(model, "cuda", "0.24.0", A100, quantization=asked).refusals] == [message]

    def test_a_kernel_for_the_checkpoints_method(self) -> None:
        made = plan(GPTQ_7B, "cuda", "0.24.0", A100, quantization="gptq_marlin")
        assert (made.settings["quantization"].value, made.refusals) == ("gptq_marlin", ())

    @pytest.mark.parametrize("model", [BASE_7B, GPTQ_7B])
    def test_a_vendors_own_method_is_let_through_with_a_warning(self, model: Model) -> None:
        made = plan(model, "k100-ai", "0.18.1", quantization="slimquant_w4a8")
        assert (made.settings["quantization"].value, made.refusals) == ("slimquant_w4a8", ())
        assert [(each.rule, each.message) for each in made.warnings] == [
            (
                "quantization",
                f"quantization slimquant_w4a8 is not known to bcli: whether it fits {model.name} was not checked",
            )
        ]

    def test_a_method_that_a_checkpoint_alone_names_stays_refused(self) -> None:
        model = quantized(GPTQ_7B, method="slimquant_w4a8")
        assert refusals(plan(model, "k100-ai", "0.18.1")) == [("quantization", True)]

    @pytest.mark.parametrize(
        ("method", "profile", "release", "doubt"),
        [
            ("gptq", "z100l", "0.5.0", "garbled answers of a 4-bit Qwen were reported on this card"),
            ("gptq", "k100", "0.5.0", None),
            (
                "awq",
                "k100-ai",
                "0.5.0+das.opt4",
                "the vendor's LMSlim gave garbled answers before 0.2.1, and the image of vLLM 0.5.0 holds 0.1.1",
            ),
            ("awq", "k100-ai", "0.6.2", None),
        ],
    )
    def test_reports_of_wrong_answers_are_told(
        self, method: str, profile: str, release: str, doubt: str | None
    ) -> None:
        found = plan(quantized(GPTQ_7B, method=method), profile, release).findings
        command = "bcli doctor --engine --model baichuan2-7b-chat-gptq-int4"
        hint = f"Find out on this machine before you trust its answers: {command}"
        assert [(f.severity, f.message, f.hint) for f in found if f.rule == "quantization"] == (
            [("warning", f"quantization {method} on {profile}: {doubt}", hint)] if doubt else []
        )

    def test_fp8_while_loading(self) -> None:
        assert not plan(BASE_7B, "cuda", "0.26.0", H100, quantization="fp8").refusals
        assert refusals(plan(BASE_7B, "cuda", "0.26.0", A100, quantization="fp8")) == [("quantization", True)]

    def test_8_bit_on_the_cpu(self) -> None:
        refusal = plan(quantized(GPTQ_7B, bits=8), "cpu", "0.32.0").refusals[0]
        assert refusal.message == "gptq with 8 bits: the CPU's kernels take 4 bits only."

    def test_4_bits_on_a_cpu_without_avx512_are_refused(self) -> None:
        [refusal] = plan(GPTQ_7B, "cpu", "0.32.0", replace(CPU, cpu_flags=frozenset({"avx2"}))).refusals
        assert refusal.message == (
            "quantization gptq: vLLM's kernels for it on the CPU need AVX-512, which this processor does not have."
        )
        assert refusal.forceable

    @pytest.mark.parametrize(("profile", "release"), [("rocm", "0.5.0"), ("k100-ai", "0.5.0+das.opt4")])
    def test_gptq_is_named_on_rocm(self, profile: str, release: str) -> None:
        setting = plan(GPTQ_7B, profile, release).settings["quantization"]
        assert setting == Setting(
            "gptq", "rule gptq_on_rocm", f"vLLM {release} would try gptq_marlin, which ROCm lacks, unless told"
        )

    @pytest.mark.parametrize(
        ("desc_act", "group_size", "profile", "release", "expected"),
        [
            (True, 128, "cuda", "0.31.0", []),
            (True, 128, "cuda", "0.33.0", [("refusal", True)]),
            (True, -1, "cuda", "0.33.0", []),
            (False, 128, "cuda", "0.33.0", []),
            (None, 128, "cuda", "0.33.0", [("warning", False)]),
            (True, 128, "cpu", "0.31.0", [("refusal", False)]),
            (True, -1, "cpu", "0.31.0", []),
        ],
    )
    def test_activation_order(
        self,
        desc_act: bool | None,
        group_size: int,
        profile: str,
        release: str,
        expected: list[tuple[str, bool]],
    ) -> None:
        model = quantized(GPTQ_7B, desc_act=desc_act, group_size=group_size)
        found = plan(model, profile, release, CPU if profile == "cpu" else A100).findings
        assert [(f.severity, f.forceable) for f in found if f.rule == "activation_order"] == expected


class TestTensorParallel:
    @pytest.mark.parametrize(
        ("model", "group_size", "works"),
        [
            (GPTQ_7B, 32, {1, 2, 4, 8}),
            (GPTQ_7B, 64, {1, 2, 4}),
            (GPTQ_7B, 128, {1, 2}),
            (BASE_7B, None, {1, 2, 4, 8, 16}),
            (GPTQ_13B, 32, {1, 2, 4}),
            (GPTQ_13B, 64, {1, 2}),
            (GPTQ_13B, 128, {1}),
            (BASE_13B, None, {1, 2, 4, 8}),
        ],
    )
    def test_sizes_that_split_the_model(self, model: Model, group_size: int | None, works: set[int]) -> None:
        if group_size is not None:
            model = quantized(model, group_size=group_size)
        passed = {
            size
            for size in range(1, 17)
            if not plan(model, "cuda", "0.24.0", cards("sm_80", 16), tensor_parallel_size=size).refusals
        }
        assert passed == works

    def test_the_arithmetic_of_a_refusal(self) -> None:
        made = plan(GPTQ_13B, "k100-ai", "0.5.0", tensor_parallel_size=2)
        assert made.refusals == (
            Finding(
                "refusal",
                "tensor_parallel",
                "tensor_parallel_size 2 cannot split this checkpoint.\n"
                "13696 (intermediate_size) ÷ 2 = 6848 is no multiple of the GPTQ group size 128;"
                " 13696 = 107 × 128, so only 1 works.",
                "Use --tensor-parallel-size 1 (9.1 GB fits the card's 64 GiB).",
                forceable=True,
            ),
        )

    @pytest.mark.parametrize(
        ("model", "size", "arithmetic"),
        [
            (GPTQ_7B, 4, "11008 (intermediate_size) ÷ 4 = 2752 is no multiple of the GPTQ group size 128;"
             " 11008 = 86 × 128, so only 1 and 2 work."),
            (BASE_13B, 5, "13696 (intermediate_size) ÷ 5 is no whole number; only 1, 2, 4 and 8 work."),
            (BASE_7B, 3, "32 attention heads ÷ 3 is no whole number; only 1, 2, 4, 8 and 16 work."),
        ],
    )  # fmt: skip
    def test_other_misfits(self, model: Model, size: int, arithmetic: str) -> None:
        refusal = plan(model, "cuda", "0.24.0", tensor_parallel_size=size).refusals[0]
        assert refusal.message == f"tensor_parallel_size {size} cannot split this checkpoint.\n{arithmetic}"

    @pytest.mark.parametrize("asked", [{}, {"tensor_parallel_size": 2}, {"tensor_parallel_size": 4}])
    def test_groups_that_do_not_fill_a_layer(self, asked: dict[str, object]) -> None:
        model = quantized(GPTQ_13B, group_size=256)
        made = plan(model, "cuda", "0.24.0", cards("sm_80", 2), **asked)
        assert made.refusals[0] == Finding(
            "refusal",
            "whole_groups",
            "13696 (intermediate_size) is no multiple of the GPTQ group size 256, and vLLM loads whole groups only.",
            "Use another checkpoint: bcli models list",
            forceable=True,
        )
        assert refusals(plan(model, "cpu", "0.31.0", force=True)) == [("whole_groups", False)]

    def test_more_cards_than_two_machines_have(self) -> None:
        ray = {"distributed_executor_backend": "ray", "tensor_parallel_size": 32}
        assert not plan(BASE_7B, "cuda", "0.24.0", cards("sm_80", 8), **ray).refusals

    def test_on_the_cpu_a_cut_group_is_silently_wrong(self) -> None:
        made = plan(GPTQ_13B, "cpu", "0.31.0", replace(CPU, numa_nodes=2), tensor_parallel_size=2, force=True)
        assert refusals(made) == [("tensor_parallel", False)]

    def test_an_unknown_group_size_is_said(self) -> None:
        model = quantized(GPTQ_7B, group_size=None)
        warnings = plan(model, "cuda", "0.24.0", cards("sm_80", 2), tensor_parallel_size=2).warnings
        assert [w.message for w in warnings] == [
            "the gptq group size is not known; 128 is assumed, and tensor_parallel_size 2 fits that"
        ]

    @pytest.mark.parametrize("release", ["0.8.3", "0.8.4", "0.8.5", "0.8.5.post1"])
    def test_wrong_logits_are_never_forced(self, release: str) -> None:
        made = plan(BASE_7B, "cuda", release, cards("sm_80", 2), tensor_parallel_size=2, force=True)
        assert refusals(made) == [("tensor_parallel", False)]

    @pytest.mark.parametrize("release", ["0.8.2", "0.9.0.1"])
    def test_releases_around_them_are_right(self, release: str) -> None:
        assert not plan(BASE_7B, "cuda", release, cards("sm_80", 2), tensor_parallel_size=2).refusals

    def test_more_cards_than_there_are(self) -> None:
        made = plan(BASE_7B, "cuda", "0.24.0", cards("sm_80", 2), tensor_parallel_size=2, pipeline_parallel_size=2)
        assert [(each.rule, each.message) for each in made.refusals] == [
            ("cards", "tensor_parallel_size 2 × pipeline_parallel_size 2 = 4 cards, and this machine has 2.")
        ]

    @pytest.mark.parametrize(
        ("tensor", "pipeline", "hint"),
        [
            (8, 1, "Use --tensor-parallel-size 2."),
            (2, 2, "Use --tensor-parallel-size 1."),
            (1, 4, "Use --pipeline-parallel-size 2 --tensor-parallel-size 1."),
        ],
    )
    def test_what_is_proposed_fits_the_cards(self, tensor: int, pipeline: int, hint: str) -> None:
        asked = {"tensor_parallel_size": tensor, "pipeline_parallel_size": pipeline}
        made = plan(BASE_7B, "cuda", "0.24.0", cards("sm_80", 2), **asked)
        assert [each.hint for each in made.refusals if each.rule == "cards"] == [hint]

    def test_ranks_on_one_numa_node(self) -> None:
        assert refusals(plan(tensor_parallel_size=2)) == [("cpu_ranks", True)]
        binding = Layer("environment", environment={"VLLM_CPU_OMP_THREADS_BIND": "0|1"})
        made = plan(layers=(binding,), tensor_parallel_size=2)
        assert not made.refusals
        assert made.environment["VLLM_CPU_OMP_THREADS_BIND"] == Setting("0|1", "environment", "exported by you")

    @pytest.mark.parametrize(("release", "refused"), [("0.5.0", True), ("0.5.3.post1", True), ("0.5.4", False)])
    def test_ranks_on_the_cpu_of_an_old_release(self, release: str, refused: bool) -> None:
        made = plan("demo", "cpu", release, replace(CPU, numa_nodes=2), tensor_parallel_size=2)
        message = f"2 ranks: vLLM's CPU backend has a single one before 0.5.4, and this is {release}."
        assert [each.message for each in made.refusals] == ([message] if refused else [])


class TestPipelineParallel:
    @pytest.mark.parametrize(
        ("profile", "release", "asked", "expected"),
        [
            ("cuda", "0.6.2", {}, [("pipeline_parallel", True)]),
            ("cuda", "0.6.3", {}, []),
            ("cpu", "0.32.0", {}, [("pipeline_parallel", True)]),
            ("cpu", "0.32.0", {"enforce_eager": False}, []),
        ],
    )
    def test_where_it_exists(
        self, profile: str, release: str, asked: dict[str, object], expected: list[tuple[str, bool]]
    ) -> None:
        machine = replace(CPU, numa_nodes=2)
        assert refusals(plan("demo", profile, release, machine, pipeline_parallel_size=2, **asked)) == expected

    def test_more_stages_than_layers(self) -> None:
        assert refusals(plan("demo", "cuda", pipeline_parallel_size=5)) == [("pipeline_parallel", True)]


class TestAttention:
    @pytest.mark.parametrize(
        ("machine", "release", "backend", "config"),
        [
            (A100, "0.24.0", None, None),
            (H100, "0.23.0", None, None),
            (H100, "0.24.0", "TRITON_ATTN", None),
            (H100, "0.33.0", "TRITON_ATTN", None),
            (B200, "0.10.2", "TRITON_ATTN_VLLM_V1", None),
            (B200, "0.23.0", "TRITON_ATTN", None),
            (B200, "0.32.0", "TRITON_ATTN", None),
            (T4, "0.7.3", None, None),
            (T4, "0.9.2", None, None),
            (T4, "0.23.0", "TRITON_ATTN", None),
            (CPU, "0.24.0", "TRITON_ATTN", None),  # a CUDA card that nobody has seen
        ],
    )
    def test_alibi_on_cuda(self, machine: object, release: str, backend: str | None, config: object) -> None:
        made = plan("demo-alibi", "cuda", release, machine)
        assert made.settings["attention_backend"].value == backend
        assert (made.settings["attention_config"].value if "attention_config" in made.settings else None) == config
        assert not made.refusals

    def test_rope_may_run_anywhere(self) -> None:
        made = plan("demo", "cuda", "0.32.0", B200, attention_backend="FLASHINFER")
        assert (made.settings["attention_backend"].value, made.refusals) == ("FLASHINFER", ())

    def test_flashinfer_drops_alibi_silently(self) -> None:
        made = plan("demo-alibi", "cuda", "0.32.0", A100, attention_backend="FLASHINFER", force=True)
        assert made.refusals == (
            Finding(
                "refusal",
                "alibi_backend",
                "attention_backend FLASHINFER ignores ALiBi without a word; demo-alibi would answer wrongly.",
                "Use --set attention_backend=TRITON_ATTN.",
                forceable=False,
            ),
        )

    def test_flashinfer_by_the_old_variable(self) -> None:
        exported = Layer("environment", environment={"VLLM_ATTENTION_BACKEND": "FLASHINFER"})
        assert refusals(plan("demo-alibi", "cuda", "0.10.2", A100, layers=(exported,))) == [("alibi_backend", False)]

    def test_a_misspelt_backend_in_the_old_variable(self) -> None:
        def exported(backend: str) -> tuple[Layer]:
            return (Layer("environment", environment={"VLLM_ATTENTION_BACKEND": backend}),)

        with pytest.raises(
            BcliError, match="VLLM_ATTENTION_BACKEND: 'FLASHINFR' is no attention backend for Baichuan"
        ):
            plan("demo-alibi", "cuda", "0.10.2", A100, layers=exported("FLASHINFR"))
        # Where the variable has no meaning any more, nobody reads it, and empty is as good as not set.
        assert not plan("demo", "cuda", "0.32.0", A100, layers=exported("FLASHINFR")).findings
        assert plan("demo", "cuda", "0.10.2", A100, layers=exported("")).settings["attention_backend"].value is None

    @pytest.mark.parametrize(
        ("model", "message", "hint"),
        [
            ("demo", "attention_backend FLASH_ATTN_CUSTOM is not known to bcli", ""),
            (
                "demo-alibi",
                "attention_backend FLASH_ATTN_CUSTOM is not known to bcli, and neither is whether it computes ALiBi,"
                " which demo-alibi needs",
                "Find out on this machine before you trust its answers: bcli doctor --engine --set"
                " attention_backend=FLASH_ATTN_CUSTOM",
            ),
        ],
    )
    def test_a_vendors_own_backend_is_let_through_with_a_warning(self, model: str, message: str, hint: str) -> None:
        machine = cards("gfx936", memory_gib=64)
        made = plan(model, "bw1000", "0.18.1", machine, attention_backend="FLASH_ATTN_CUSTOM")
        assert made.settings["attention_backend"].value == "FLASH_ATTN_CUSTOM"
        assert made.findings == (Finding("warning", "attention", message, hint),)

    def test_flex_attention_fails_loudly(self) -> None:
        made = plan("demo-alibi", "cuda", "0.32.0", A100, attention_backend="FLEX_ATTENTION")
        assert refusals(made) == [("alibi_backend", True)]

    def test_flash_attention_on_hopper_where_asked(self) -> None:
        made = plan("demo-alibi", "cuda", "0.26.0", H100, attention_backend="FLASH_ATTN")
        assert made.settings["attention_config"].value == {"flash_attn_version": 2}
        made = plan("demo-alibi", "cuda", "0.26.0", H100, attention_backend="TRITON_ATTN")
        assert "attention_config" not in made.settings

    @pytest.mark.parametrize(
        ("profile", "release", "expected"),
        [
            ("rocm", "0.5.0", [("refusal", False)]),  # upstream's source is known to be wrong
            ("rocm", "0.5.3", [("refusal", False)]),
            ("rocm", "0.5.4", []),
            ("rocm", "0.8.5", []),
            ("rocm", "0.32.0", []),
            ("k100", "0.5.0+das.opt4.dtk24043", [("warning", False)]),  # the vendor's later build is not known
            ("k100-ai", "0.8.5", []),
        ],
    )
    def test_alibi_on_rocm_and_dcu(self, profile: str, release: str, expected: list[tuple[str, bool]]) -> None:
        found = plan("demo-alibi", profile, release, force=True).findings
        assert [(f.severity, f.forceable) for f in found if f.rule.startswith("alibi_on")] == expected

    def test_the_warning_says_how_to_find_out(self) -> None:
        [found] = [each for each in plan("demo-alibi", "z100l", "0.5.0").warnings if each.rule == "alibi_on_dcu"]
        assert found.message == (
            "ALiBi may be ignored in prefill by vLLM 0.5.0 on ROCm: answers to long prompts may be wrong."
        )
        assert found.hint == "Find out on this machine before you trust them: bcli doctor --engine"

    @pytest.mark.parametrize("profile", ["rocm", "k100-ai", "bw1000"])
    def test_tritons_prefill_is_off_before_0_9(self, profile: str) -> None:
        name = "VLLM_USE_TRITON_FLASH_ATTN"
        assert plan("demo-alibi", profile, "0.8.5").environment[name].value == 0
        assert name not in plan("demo-alibi", profile, "0.9.2").environment
        exported = Layer("environment", environment={name: "1"})
        made = plan("demo-alibi", profile, "0.8.5", layers=(exported,), force=True)
        assert [(each.rule.startswith("alibi_on"), each.forceable) for each in made.refusals] == [(True, False)]

    @pytest.mark.parametrize(
        ("profile", "release", "reason"),
        [("cpu", "0.32.0", "not selectable on the CPU"), ("rocm", "0.5.0", "not selectable in this release")],
    )
    def test_no_backend_to_choose(self, profile: str, release: str, reason: str) -> None:
        made = plan("demo", profile, release, attention_backend="TRITON_ATTN")
        assert made.settings["attention_backend"] == Setting(None, f"vLLM {release}", reason)
        assert f"attention_backend TRITON_ATTN (--attention-backend) is left out: {reason}" in [
            each.message for each in made.warnings
        ]

    @pytest.mark.parametrize(
        ("model", "release", "expected"),
        [
            ("demo-alibi", "0.24.0", [("alibi_kv_cache", False)]),
            ("demo-alibi", "0.25.1", []),
            ("demo", "0.24.0", []),
        ],
    )
    def test_fp8_cache_does_not_reach_alibi_layers_in_tree(
        self, model: str, release: str, expected: list[tuple[str, bool]]
    ) -> None:
        assert refusals(plan(model, "cuda", release, A100, kv_cache_dtype="fp8")) == expected


class TestContext:
    def test_rope_ends_where_training_ended(self) -> None:
        made = plan("demo", max_model_len=1025, force=True)
        assert [(each.message, each.forceable) for each in made.refusals] == [
            ("max_model_len 1025 is more than the 1024 tokens that demo has positions for.", False)
        ]

    def test_alibi_goes_on_with_a_warning(self) -> None:
        made = plan("demo-alibi", max_model_len=2048)
        assert not made.refusals
        assert [each.message for each in made.warnings] == [
            "max_model_len 2048: demo-alibi was trained on 1024 tokens, and gets worse beyond"
        ]
        assert made.environment["VLLM_ALLOW_LONG_MAX_MODEL_LEN"].value == 1

    def test_shorter_is_fine(self) -> None:
        assert plan("demo", max_model_len=512).findings == ()


class TestMemory:
    def test_a_larger_split_is_chosen(self) -> None:
        made = plan(BASE_13B, "z100l", "0.5.0")
        assert made.settings["tensor_parallel_size"] == Setting(
            2,
            "rule memory",
            "weights 25.9 GiB + KV 3.1 GiB + 1.5 GiB > 0.90 × 32 GiB on one card; --max-model-len 1792 would fit",
        )
        assert not made.refusals

    def test_the_profile_is_asked_again_for_several_cards(self) -> None:
        made = plan(BASE_13B, "k100-ai", "0.5.0", cards("gfx928", 2, memory_gib=32))
        assert made.settings["tensor_parallel_size"].source == "rule memory"
        assert made.environment["NCCL_MIN_NCHANNELS"].value == 16

    def test_what_a_person_chose_is_refused_with_what_would_fit(self) -> None:
        refusal = plan(BASE_13B, "z100l", "0.5.0", tensor_parallel_size=1).refusals[0]
        assert refusal == Finding(
            "refusal",
            "memory",
            "baichuan2-13b-base does not fit: weights 25.9 GiB + KV 3.1 GiB + 1.5 GiB > 0.90 × 32 GiB on one card.",
            "Use --tensor-parallel-size 2 or --max-model-len 1792 or a quantized checkpoint (bcli models list).",
            forceable=True,
        )
        assert not plan(BASE_13B, "z100l", "0.5.0", tensor_parallel_size=1, max_model_len=1792).refusals

    def test_no_more_cards_than_there_are(self) -> None:
        one = plan(BASE_13B, "cuda", "0.24.0", cards("sm_89", 1, memory_gib=24))
        assert [(each.rule, each.hint) for each in one.refusals] == [
            ("memory", "Use a quantized checkpoint (bcli models list).")
        ]
        assert plan(BASE_13B, "cuda", "0.24.0", cards("sm_89", 4, memory_gib=24)).settings[
            "tensor_parallel_size"
        ].value == 2  # fmt: skip

    def test_wrong_logits_are_not_chosen_for_room(self) -> None:
        made = plan(BASE_13B, "cuda", "0.8.5", cards("sm_89", 4, memory_gib=24))
        assert refusals(made) == [("memory", True)]

    def test_stages_share_the_memory_too(self) -> None:
        machine = cards("sm_89", 2, memory_gib=24)
        assert not plan(BASE_13B, "cuda", "0.24.0", machine, pipeline_parallel_size=2).refusals

    def test_what_the_card_says_counts_more_than_the_profile(self) -> None:
        assert plan(BASE_13B, "k100-ai", "0.9.2").settings["tensor_parallel_size"].value == 1
        small = cards("gfx928", 2, memory_gib=32)
        assert plan(BASE_13B, "k100-ai", "0.9.2", small).settings["tensor_parallel_size"].value == 2

    def test_an_unknown_card_is_said(self) -> None:
        warnings = plan(BASE_7B, "cuda", "0.24.0").warnings
        assert [each.message for each in warnings] == [
            "the memory of the card is not known, so whether baichuan2-7b-base fits was not checked"
        ]

    def test_an_fp8_cache_is_half_as_large(self) -> None:
        machine = cards("sm_89", memory_gib=18.5)
        assert refusals(plan(BASE_7B, "cuda", "0.26.0", machine)) == [("memory", True)]
        assert not plan(BASE_7B, "cuda", "0.26.0", machine, kv_cache_dtype="fp8").refusals


class TestCpuMemory:
    SPACE = "VLLM_CPU_KVCACHE_SPACE"

    @pytest.mark.parametrize(
        ("model", "host_gib", "space"),
        [
            ("demo", 24, 1),  # small for a tiny model
            (BASE_7B, 64, 16),  # eight full sequences of 2 GiB
            (BASE_7B, 24, 6),  # what is free beside 14 GiB of weights
            (BASE_13B, 64, 25),
        ],
    )
    def test_whole_gib_for_several_sequences(self, model: str | Model, host_gib: int, space: int) -> None:
        made = plan(model, machine=replace(CPU, host_memory_bytes=host_gib * GIB))
        assert made.environment[self.SPACE].value == space
        assert not made.refusals

    def test_it_says_how_much_room_that_is(self) -> None:
        assert plan(BASE_7B).environment[self.SPACE] == Setting(
            6, "rule cpu_memory", "GiB, room for 3 sequences of 4096 tokens; 6 GiB are free"
        )

    def test_too_small_a_machine(self) -> None:
        machine = replace(CPU, host_memory_bytes=19 * GIB)
        assert [(each.message, each.hint) for each in plan(BASE_7B, machine=machine).refusals] == [
            (
                "baichuan2-7b-base does not fit:"
                " weights 14.0 GiB + KV 2.0 GiB + 1.5 GiB > 0.90 × 19 GiB of this machine.",
                "Use --max-model-len 2048 or a smaller or quantized checkpoint (bcli models list).",
            )
        ]
        assert not plan(BASE_7B, machine=machine, max_model_len=2048).refusals

    def test_less_than_one_whole_gib_is_nothing(self) -> None:
        refusal = plan(BASE_7B, machine=replace(CPU, host_memory_bytes=18 * GIB)).refusals[0]
        assert refusal.hint == "Use a smaller or quantized checkpoint (bcli models list)."

    def test_bfloat16_is_named_where_only_float32_does_not_fit(self) -> None:
        plain = replace(CPU, cpu_flags=frozenset())
        refusal = plan(BASE_7B, machine=plain).refusals[0]
        assert refusal.hint == "Use --dtype bfloat16 or a smaller or quantized checkpoint (bcli models list)."
        assert not plan(BASE_7B, machine=plain, dtype="bfloat16").refusals

    @pytest.mark.parametrize(
        ("exported", "message"),
        [
            ("6", None),
            ("0", None),
            ("1", "VLLM_CPU_KVCACHE_SPACE=1 (environment): one sequence of 4096 tokens needs 2.0 GiB."),
            ("9", "VLLM_CPU_KVCACHE_SPACE=9 (environment): 6 GiB are free beside the weights (14.0 GiB)."),
            ("lots", "VLLM_CPU_KVCACHE_SPACE=lots (environment) is no whole number of GiB."),
            ("²", "VLLM_CPU_KVCACHE_SPACE=² (environment) is no whole number of GiB."),
        ],
    )
    def test_what_a_person_exported_stays(self, exported: str, message: str | None) -> None:
        layer = Layer("environment", environment={self.SPACE: exported})
        made = plan(BASE_7B, layers=(layer,))
        assert made.environment[self.SPACE] == Setting(exported, "environment", "exported by you")
        assert [each.message for each in made.refusals] == ([message] if message else [])


def test_force_turns_capability_into_a_warning() -> None:
    asked = {"dtype": "bfloat16", "tensor_parallel_size": 3}
    refused = plan(BASE_7B, "z100l", "0.5.0", **asked)
    forced = plan(BASE_7B, "z100l", "0.5.0", force=True, **asked)
    assert {each.rule for each in refused.refusals} == {"dtype", "tensor_parallel"}
    assert not forced.refusals
    assert {each.rule for each in forced.warnings} >= {"dtype", "tensor_parallel"}
