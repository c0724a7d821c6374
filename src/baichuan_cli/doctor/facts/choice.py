"""The profile and the plan that a command would use here, as far as they could be made."""

from __future__ import annotations

from dataclasses import dataclass

from baichuan_cli.errors import BcliError
from baichuan_cli.hardware.profile import Kind
from baichuan_cli.plan.model import Plan


@dataclass(frozen=True, slots=True)
class Choice:
    """What would be chosen.

    Attributes:
        profile: its name; empty where a person names one that cannot be read.
        kind: of hardware; None where the profile cannot be read.
        why: what decided, in words.
        plan: for the model that commands use when none is named; None where none could be made.
        problem: why there is no profile or no plan; None where there is, or where only vLLM is missing.
    """

    profile: str
    kind: Kind | None
    why: str
    plan: Plan | None = None
    problem: BcliError | None = None
