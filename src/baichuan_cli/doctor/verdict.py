"""What a check has to say, and what all of them together mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failure", "skipped"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check.

    Attributes:
        check: the check's name, the same in every release: "device-files".
        status: "failure" where bcli cannot run here until it is mended; "skipped" where it was not looked at.
        says: what was seen and what it means, in one sentence.
        fix: what to do about it; empty where there is nothing to do.
    """

    check: str
    status: Status
    says: str
    fix: str = ""


def ok(check: str, says: str) -> Verdict:
    """Return the verdict that all is well."""
    return Verdict(check, "ok", says)


def warn(check: str, says: str, fix: str = "") -> Verdict:
    """Return the verdict that something works, but not well or not for everything."""
    return Verdict(check, "warning", says, fix)


def fail(check: str, says: str, fix: str = "") -> Verdict:
    """Return the verdict that bcli cannot run here like this."""
    return Verdict(check, "failure", says, fix)


def skip(check: str, says: str) -> Verdict:
    """Return the verdict that something was not looked at, and why."""
    return Verdict(check, "skipped", says)


def exit_status(verdicts: Iterable[Verdict]) -> int:
    """Return the exit status of `bcli doctor`: 0, 1 where there are warnings, 2 where bcli cannot run."""
    statuses = {verdict.status for verdict in verdicts}
    return 2 if "failure" in statuses else 1 if "warning" in statuses else 0
