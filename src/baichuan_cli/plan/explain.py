"""A plan for people: each setting with its value, where it came from and why; and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.draft import show
from baichuan_cli.plan.model import Finding, Plan, Setting

#: Name and version of the JSON form; the version rises when a key changes its meaning or goes away.
SCHEMA = "bcli.plan/1"

COLUMNS = ("setting", "value", "from", "because")


class Row(NamedTuple):
    """One line of the `--explain` table."""

    setting: str
    value: str
    source: str
    reason: str


def explain(plan: Plan) -> tuple[Row, ...]:
    """Return the rows of the `--explain` table: engine, environment, server, sampling, then what is left to vLLM."""
    decided = {name: setting for name, setting in plan.settings.items() if setting.source != "vLLM default"}
    left = [name for name in plan.settings if name not in decided]
    rows = [_row(name, setting) for name, setting in decided.items()]
    rows += [_row(name, setting) for name, setting in plan.environment.items()]
    rows += [_row(name, setting) for name, setting in plan.server.items()]
    rows += [_row(name, setting) for name, setting in plan.sampling.items()]
    rows.append(Row("others", "–", "vLLM default", f"{len(left)} settings that are not passed; --json names them"))
    return tuple(rows)


def finding_lines(plan: Plan) -> tuple[str, ...]:
    """Return the findings as text, refusals first, each under its severity."""
    return tuple(
        f"{finding.severity}  {_told(finding)}" for finding in sorted(plan.findings, key=lambda each: each.severity)
    )


def as_json(plan: Plan) -> dict[str, object]:
    """Return the whole plan as plain data, settings left to vLLM included."""
    return {
        "schema": SCHEMA,
        "model": plan.model.name,
        "profile": plan.profile_name,
        "vllm": str(plan.release),
        "settings": _settings_json(plan.settings),
        "environment": _settings_json(plan.environment),
        **({"server": _settings_json(plan.server)} if plan.server else {}),
        "sampling": _settings_json(plan.sampling),
        "findings": [
            {
                "severity": finding.severity,
                "rule": finding.rule,
                "message": finding.message,
                "hint": finding.hint,
                "forceable": finding.forceable,
            }
            for finding in plan.findings
        ],
    }


def refusal(plan: Plan) -> BcliError | None:
    """Return the error that the plan's refusals amount to, or None where it may be used."""
    refusals = plan.refusals
    if not refusals:
        return None
    first, *others = refusals
    hints = [first.hint, *(f"Also refused: {_told(other)}" for other in others)]
    if all(finding.forceable for finding in refusals):
        hints.append("Or try all the same with --force.")
    return BcliError(_indented(first.message), hint="\n".join(filter(None, hints)), exit_code=ExitCode.REFUSED)


def _row(name: str, setting: Setting) -> Row:
    undecided = setting.value is None and setting.source.startswith("vLLM ")
    return Row(name, "–" if undecided else show(setting.value), setting.source, setting.reason)


def _told(finding: Finding) -> str:
    return _indented(finding.message) + (f"\n  {_indented(finding.hint)}" if finding.hint else "")


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _settings_json(settings: Mapping[str, Setting]) -> dict[str, object]:
    return {
        name: {"value": setting.value, "from": setting.source, "because": setting.reason}
        for name, setting in settings.items()
    }
