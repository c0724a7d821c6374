"""Search for settings that are faster than the profile's, without changing what the model answers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from baichuan_cli.bench.compare import Change, compare
from baichuan_cli.bench.probe import disagreement
from baichuan_cli.plan.draft import show
from baichuan_cli.plan.releases import LINEAR_BACKEND, attention_selectable, triton_attention

if TYPE_CHECKING:
    from baichuan_cli.bench.probe import Probe
    from baichuan_cli.bench.record import Record
    from baichuan_cli.hardware.profile import Profile, Scalar
    from baichuan_cli.plan.model import Plan

Goal = Literal["throughput", "latency"]

#: The metric that each goal is about.
METRICS: Mapping[Goal, str] = {"throughput": "output_tokens_per_s", "latency": "run_s"}

#: Of `max_num_seqs`.
SIZES = (32, 64, 128, 256, 512)

Settings = Mapping[str, "Scalar"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What an engine with some settings did, or why it did not."""

    record: Record | None
    probe: Probe | None
    error: str = ""


#: Measures an engine with these settings beside those of the profile, in a process of its own.
Try = Callable[[Settings], Measured]


@dataclass(frozen=True, slots=True)
class Trial:
    """One value that was tried.

    Attributes:
        change: of the goal's metric against the best so far; None where it could not be measured.
        outcome: in words, for the evidence: "taken", "noise", "refused: …".
    """

    name: str
    value: Scalar
    change: Change | None
    outcome: str

    @property
    def taken(self) -> bool:
        """Tell whether the value is better and was kept."""
        return self.outcome == "taken"

    @property
    def told(self) -> str:
        """Return the trial in one line."""
        measured = "" if self.change is None else f" {self.change.change:+.1%} (p {self.change.p_value:.3f})"
        return f"{self.name}={show(self.value)}{measured}: {self.outcome}"


def candidates(plan: Plan, profile: Profile, goal: Goal, num_prompts: int) -> dict[str, tuple[Scalar, ...]]:
    """Return the values that may be faster on this hardware and release, in the order in which they are tried.

    What the plan has already is left out. One request at a time does not depend on how many may run together, and
    nothing depends on room for more than there are.
    """
    gpu = profile.kind != "cpu"
    found: dict[str, tuple[Scalar, ...]] = {"enforce_eager": (True, False)}
    if attention_selectable(plan.release, profile.kind):
        backends = ("FLASH_ATTN", "FLASHINFER") if profile.kind == "cuda" else ("ROCM_ATTN",)
        found["attention_backend"] = (*backends, triton_attention(plan.release))
    gptq = plan.model.quantization is not None and plan.model.quantization.method == "gptq"
    if gptq and profile.kind == "cuda" and plan.release.matches(LINEAR_BACKEND):
        found["linear_backend"] = ("marlin", "machete")
    if goal == "throughput":
        found["max_num_seqs"] = SIZES[: bisect_left(SIZES, num_prompts) + 1]
        found["max_num_batched_tokens"] = (2048, 4096, 8192, 16384)
    found["block_size"] = (16, 32) if gpu else (32, 64, 128)  # CPU attention takes multiples of 32
    size = plan.settings["tensor_parallel_size"].value
    assert isinstance(size, int)
    if "fp8" in profile.quantizations_at(plan.release, size) and plan.model.quantization is None:
        found["quantization"] = ("fp8",)
        if gpu:
            found["kv_cache_dtype"] = ("fp8",)
    return {
        name: tuple(value for value in values if value != plan.settings[name].value) for name, values in found.items()
    }


def search(
    baseline: Measured, values: Mapping[str, Sequence[Scalar]], goal: Goal, dtype: str, attempt: Try
) -> Iterator[Trial]:
    """Try the values of one setting after the other, and keep what is better than the best so far.

    What seems better is judged again, against the best so far as it measures right after it.

    Args:
        baseline: with the profile's own settings; it was measured, and its answers are the right ones.
    """
    assert baseline.record is not None and baseline.probe is not None
    best, chosen = baseline.record, dict[str, "Scalar"]()
    for name, each in values.items():
        for value in each:
            measured = attempt({**chosen, name: value})
            trial = _judge(name, value, best, baseline.probe, measured, goal, dtype)
            if trial.taken and (again := attempt(chosen)).record is not None:
                # A machine may be faster now than it was: the best so far must still be slower.
                best = again.record
                trial = _judge(name, value, best, baseline.probe, measured, goal, dtype)
            if trial.taken:
                assert measured.record is not None
                best, chosen = measured.record, {**chosen, name: value}
            yield trial


def _judge(name: str, value: Scalar, best: Record, probe: Probe, measured: Measured, goal: Goal, dtype: str) -> Trial:
    if measured.record is None or measured.probe is None:
        return Trial(name, value, None, f"refused: {measured.error}")
    change = goal_change(best, measured.record, goal)
    if difference := disagreement(probe, measured.probe, dtype):
        return Trial(name, value, change, f"refused: {difference}")
    return Trial(name, value, change, "taken" if change.verdict == "improved" else change.verdict)


def goal_change(old: Record, new: Record, goal: Goal) -> Change:
    """Return the change of the goal's metric."""
    return next(change for change in compare(old, new) if change.name == METRICS[goal])


def chosen_settings(trials: Sequence[Trial]) -> dict[str, Scalar]:
    """Return what a search has chosen: of each setting the last value that was taken."""
    return {trial.name: trial.value for trial in trials if trial.taken}
