"""Whether a model will fit this hardware, told before gigabytes of it are fetched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.memory import kv_cache_bytes, weight_memory_bytes
from baichuan_cli.cli.planning import Wishes, ground
from baichuan_cli.sizes import gibibytes, gigabytes

if TYPE_CHECKING:
    from baichuan_cli.catalog.model import Model
    from baichuan_cli.hardware.detect import Detection
    from baichuan_cli.plan.model import Finding, Plan


_WORDS = {True: "fits", False: "does not run there as it is", None: "but the card's memory is not known"}

#: Rules about the vLLM and the Python of this machine, which can change without another download.
_ABOUT_SOFTWARE = frozenset({"known_release", "hardware_release", "python"})

_ABOUT_SIZE = frozenset({"memory", "cpu_memory"})
_NAMED = 3  # models that fit instead


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the plan says about memory. Sizes in bytes, for one card or for the CPU."""

    profile: str
    dtype: str
    cards: int
    max_model_len: int
    weight_bytes: int
    kv_bytes: int  # of one sequence of full length
    refusals: tuple[Finding, ...]  # why it will not run, with what would
    memory_known: bool

    @property
    def fits(self) -> bool | None:
        """Tell whether it will run; None where nothing speaks against it but the memory of the card is not known."""
        if self.refusals:
            return False
        return True if self.memory_known else None

    def __str__(self) -> str:
        kv = f"{gibibytes(self.kv_bytes)} KV ({self.max_model_len:,} tokens)"
        need = f"{gibibytes(self.weight_bytes)} weights + {kv}"
        cards = f" on each of {self.cards} cards" if self.cards > 1 else ""
        return f"{self.profile} profile, {self.dtype}: {need}{cards}, {_WORDS[self.fits]}"


def judge(model: Model, profile: str | None) -> Verdict:
    """Plan for a model that is not here yet; where its size is in the way, also name the largest that fit.

    Args:
        model: the facts of the catalogue.
        profile: the hardware; what is detected when None.

    Raises:
        BcliError: the profile or the configuration cannot be used.
    """
    from baichuan_cli.hardware.detect import detect

    detection = detect()
    verdict = _judge(model, profile, detection)
    if not any(refusal.rule in _ABOUT_SIZE for refusal in verdict.refusals):
        return verdict
    fitting = ", ".join(
        f"{each.name} ({gigabytes(each.weight_bytes)})" for each in _fitting(model, profile, detection)
    )
    return replace(
        verdict,
        refusals=tuple(
            replace(refusal, hint=f"{refusal.hint}\nThese fit: {fitting}")
            if fitting and refusal.rule in _ABOUT_SIZE
            else refusal
            for refusal in verdict.refusals
        ),
    )


def _fitting(model: Model, profile: str | None, detection: Detection) -> list[Model]:
    """Return the largest models of the catalogue that fit, chat models for one that is."""
    catalogue = load_catalogue()
    models = (catalogue.model(entry) for entry in catalogue.entries)
    alike = [each for each in models if bool(each.chat_family) == bool(model.chat_family)]
    by_size = sorted(alike, key=lambda each: -each.weight_bytes)
    return list(islice((each for each in by_size if _judge(each, profile, detection).fits), _NAMED))


def _judge(model: Model, profile: str | None, detection: Detection) -> Verdict:
    from baichuan_cli.engine.installed import installed_release
    from baichuan_cli.plan.releases import NEWEST, newest_within

    # A model can be fetched on a machine that has no vLLM; the newest release stands in.
    wishes = Wishes(model=model, profile=profile, vllm_version=None if installed_release() else NEWEST)
    grounded = ground(wishes, detection, detection.machine, "offline")
    plan, runs = grounded.plan, grounded.profile.hardware.vllm
    if not plan.release.matches(runs):  # it is about another machine, with a vLLM of its own
        wishes = replace(wishes, vllm_version=newest_within(runs))
        plan = ground(wishes, detection, detection.machine, "offline").plan
    dtype, cards = str(plan.settings["dtype"].value), _whole(plan, "tensor_parallel_size")
    tokens = _whole(plan, "max_model_len")
    return Verdict(
        profile=plan.profile_name,
        dtype=dtype,
        cards=cards,
        max_model_len=tokens,
        weight_bytes=weight_memory_bytes(model, dtype, cards),
        kv_bytes=kv_cache_bytes(model.architecture, tokens, dtype, cards),
        refusals=tuple(finding for finding in plan.refusals if finding.rule not in _ABOUT_SOFTWARE),
        memory_known=all(finding.rule != "memory" for finding in plan.warnings),
    )


def _whole(plan: Plan, setting: str) -> int:
    return int(str(plan.settings[setting].value))
