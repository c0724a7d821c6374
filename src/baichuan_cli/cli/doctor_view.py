"""What `bcli doctor` shows: the answer first, then what is to be mended, then what is well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from baichuan_cli import __version__

if TYPE_CHECKING:
    from baichuan_cli.cli.output import Output
    from baichuan_cli.doctor.facts.everything import Facts
    from baichuan_cli.doctor.verdict import Status, Verdict

#: Name and version of the JSON form; the version rises when a key changes its meaning or goes away.
SCHEMA = "bcli.doctor/1"

#: The check of engines that were started.
ANSWERS = "answers"

_MARKS: Mapping[Status, str] = {"failure": "✗", "warning": "!", "skipped": "–", "ok": "✓"}
_PLAIN_MARKS: Mapping[Status, str] = {"failure": "x", "warning": "!", "skipped": "-", "ok": "+"}
_STYLES: Mapping[Status, str] = {"failure": "bold red", "warning": "yellow", "skipped": "dim", "ok": "green"}


def show(facts: Facts, verdicts: Sequence[Verdict], out: Output) -> None:
    """Show the verdicts, those with something to do first."""
    from rich.table import Table
    from rich.text import Text

    troubles = [verdict for status in ("failure", "warning") for verdict in verdicts if verdict.status == status]
    others = [verdict for verdict in verdicts if verdict.status in ("ok", "skipped")]
    out.laid_out(Text(f"{headline(verdicts)}\n\n", style="bold"))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    marks = _MARKS if out.has_signs("".join(_MARKS.values())) else _PLAIN_MARKS
    for number, verdict in enumerate((*troubles, *others)):
        if troubles and number == len(troubles):
            table.add_row()
        quiet = "dim" if verdict.status == "skipped" else ""
        mark = Text(marks[verdict.status], _STYLES[verdict.status])
        table.add_row(mark, Text(verdict.check, "bold"), Text(verdict.says, quiet))
        if verdict.fix:
            table.add_row("", "", Text(f"→ {verdict.fix}", "cyan"))
    out.laid_out(table)


def headline(verdicts: Sequence[Verdict]) -> str:
    """Return the answer in one line."""
    failures = [verdict for verdict in verdicts if verdict.status == "failure"]
    warnings = sum(verdict.status == "warning" for verdict in verdicts)
    said = f", and {_count(warnings, 'warning')}" if warnings else ""
    if failures:
        # An engine that fails or is wrong says nothing about other models.
        engines = all(verdict.check == ANSWERS for verdict in failures)
        cannot = "bcli cannot run every model here" if engines else "bcli cannot run here"
        return f"{cannot}: {_count(len(failures), 'thing')} to mend{said}."
    return f"bcli can run here, with {_count(warnings, 'warning')}." if warnings else "bcli can run here. All is well."


def as_json_object(facts: Facts, verdicts: Sequence[Verdict]) -> dict[str, object]:
    """Return the verdicts and the facts that people ask for next, as plain data."""
    return {
        "schema": SCHEMA,
        "bcli": __version__,
        "vllm": str(facts.release) if facts.release else None,
        "profile": facts.choice.profile,
        "runs": all(verdict.status != "failure" for verdict in verdicts),
        "checks": [
            {"check": verdict.check, "status": verdict.status, "says": verdict.says, "fix": verdict.fix}
            for verdict in verdicts
        ],
        "detection": [{"looked_at": step.looked_at, "saw": step.saw} for step in facts.detection.steps],
    }


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"
