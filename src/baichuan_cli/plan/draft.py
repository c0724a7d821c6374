"""A plan under way, and what a rule can say about it.

A rule is a function that looks at a draft and yields outcomes. It never changes the draft; `follow` does, and makes a
new one. A rule may set what a person left open, and refuse what a person asked for, but never overrule them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from baichuan_cli.catalog.model import Model
from baichuan_cli.hardware.machine import Device, Machine
from baichuan_cli.hardware.profile import Profile
from baichuan_cli.plan.model import Finding, Setting, SettingValue
from baichuan_cli.plan.release import Release
from baichuan_cli.sizes import GIB

Purpose = Literal["offline", "server"]


@dataclass(frozen=True, slots=True)
class Set:
    """Give a setting this value."""

    name: str
    value: SettingValue
    reason: str
    source: str = ""  # where a person asked for it; empty: the rule


@dataclass(frozen=True, slots=True)
class Export:
    """Give an environment variable this value."""

    name: str
    value: int | str
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Leave a setting out because the release has no such thing, and say so where somebody wanted it."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Warn:
    """Go on, but say this."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot work: vLLM or the hardware would fail. `--force` tries all the same."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Forbid:
    """It would give wrong answers without a word, or bcli has no way to ask for it at all. Nothing forces this."""

    message: str
    hint: str = ""


Outcome = Set | Export | Drop | Warn | Refuse | Forbid


@dataclass(frozen=True, slots=True)
class Start:
    """How a person wants the engine to start."""

    fast: bool = False  # sooner, at the price of some speed
    cache_dir: str | None = None  # for what is compiled; None: where each program keeps it by itself


NORMAL_START = Start()


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known and decided so far."""

    model: Model
    profile: Profile
    release: Release
    machine: Machine
    purpose: Purpose
    settings: Mapping[str, Setting]
    environment: Mapping[str, Setting]
    exported: Mapping[str, str]  # every variable that the person has exported
    chosen: frozenset[str]  # settings and variables that a person decided
    start: Start
    findings: tuple[Finding, ...] = ()

    @property
    def dtype(self) -> str:
        """Return the dtype of weights and activations."""
        return str(self.settings["dtype"].value)

    @property
    def quantization(self) -> str | None:
        """Return the quantization method, or None."""
        value = self.settings["quantization"].value
        return None if value is None else str(value)

    @property
    def tensor_parallel_size(self) -> int:
        """Return over how many cards every layer is split."""
        return self._integer("tensor_parallel_size")

    @property
    def pipeline_parallel_size(self) -> int:
        """Return over how many cards the layers are shared out."""
        return self._integer("pipeline_parallel_size")

    @property
    def nnodes(self) -> int:
        """Return over how many machines one server is spread."""
        return int(str(self.settings["nnodes"].value or 1))

    @property
    def node_rank(self) -> int:
        """Return which of these machines this is; 0 has the API."""
        return int(str(self.settings["node_rank"].value or 0))

    @property
    def max_model_len(self) -> int:
        """Return the longest prompt plus answer, in tokens."""
        return self._integer("max_model_len")

    @property
    def memory_share(self) -> float:
        """Return the share of each card's memory that vLLM may take."""
        value = self.settings["gpu_memory_utilization"].value
        assert isinstance(value, (int, float))
        return float(value)

    @property
    def attention_backend(self) -> str | None:
        """Return the attention backend that was asked for, or None for vLLM's own choice."""
        value = self.settings["attention_backend"].value
        return None if value is None else str(value)

    @property
    def alibi(self) -> bool:
        """Tell whether the model has ALiBi, which several attention backends drop."""
        return self.model.architecture.position_embedding == "alibi"

    @property
    def cards(self) -> tuple[Device, ...]:
        """Return the devices of this machine that the profile is about; none when it plans for another machine."""
        if self.profile.kind == "cpu":
            return ()
        known = self.profile.hardware.architectures
        prefix = "sm_" if self.profile.kind == "cuda" else "gfx"
        return tuple(
            device
            for device in self.machine.devices
            if (device.architecture in known if known else device.architecture.startswith(prefix))
        )

    @property
    def card_memory(self) -> int | None:
        """Return the memory of the smallest card in bytes: what the machine says, else what the profile says."""
        if seen := [card.memory_bytes for card in self.cards if card.memory_bytes]:
            return min(seen)
        gib = self.profile.hardware.memory_gib
        return None if gib is None else int(gib * GIB)

    @property
    def compute_capability(self) -> tuple[int, int] | None:
        """Return the lowest CUDA compute capability among the cards: (9, 0) for `sm_90`; None when unknown."""
        if self.profile.kind != "cuda":
            return None
        digits = [card.architecture.removeprefix("sm_").rstrip("af") for card in self.cards]
        return min(((int(text[:-1]), int(text[-1])) for text in digits if text.isdigit()), default=None)

    def _integer(self, name: str) -> int:
        value = self.settings[name].value
        assert isinstance(value, int)
        return value


Rule = Callable[[Draft], Iterator[Outcome]]


def follow(rule: Rule, draft: Draft) -> Draft:
    """Return the draft with everything that a rule says about it."""
    name = rule.__name__
    for outcome in rule(draft):
        draft = _apply(outcome, name, draft)
    return draft


def _apply(outcome: Outcome, rule: str, draft: Draft) -> Draft:
    match outcome:
        case Set(name, value, reason, source):
            assert name not in draft.chosen, f"rule {rule} overrules the person's {name}"
            decided = Setting(value, source or f"rule {rule}", reason)
            return replace(draft, settings={**draft.settings, name: decided})
        case Export(name, value, reason):
            assert name not in draft.chosen, f"rule {rule} overrules the person's {name}"
            return replace(draft, environment={**draft.environment, name: Setting(value, f"rule {rule}", reason)})
        case Drop(name, reason):
            setting = draft.settings[name]
            dropped = replace(draft, settings={**draft.settings, name: Setting(None, f"vLLM {draft.release}", reason)})
            if setting.value is None:
                return dropped
            finding = Finding(
                "warning", rule, f"{name} {show(setting.value)} ({setting.source}) is left out: {reason}"
            )
            return replace(dropped, findings=(*draft.findings, finding))
        case Warn(message, hint):
            finding = Finding("warning", rule, message, hint)
        case Refuse(message, hint):
            finding = Finding("refusal", rule, message, hint, forceable=True)
        case Forbid(message, hint):
            finding = Finding("refusal", rule, message, hint, forceable=False)
    return replace(draft, findings=(*draft.findings, finding))


def show(value: SettingValue) -> str:
    """Return a value as a person writes it."""
    match value:
        case None | ():
            return "none"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(show(item) if isinstance(item, (bool, int, float, str)) else str(item) for item in value)
        case Mapping():
            return ", ".join(f"{key}={item}" for key, item in value.items())
        case _:
            return str(value)
