"""Whether models can be fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.facts.hub import Answer
from baichuan_cli.doctor.verdict import Verdict, ok, skip, warn


def sources(facts: Facts) -> Iterator[Verdict]:
    """Judge the servers that models come from; one that answers is enough."""
    if facts.hub.offline:
        yield skip("sources", f"no server was asked: {facts.hub.offline}")
        return
    answering = [answer for answer in facts.hub.answers if not answer.problem]
    silent = [answer for answer in facts.hub.answers if answer.problem]
    if answering:
        says = ", ".join(f"{answer.source} answers in {answer.seconds:.1f} s" for answer in answering)
        yield ok("sources", says + (f"; not {_told(silent)}" if silent else ""))
    else:
        yield warn(
            "sources",
            f"no server answers: {_told(silent)}",
            "Check the network and HTTPS_PROXY. Or take models from a folder: bcli download MODEL --source FOLDER",
        )


def _told(silent: Sequence[Answer]) -> str:
    """Return who did not answer and why, those with the same reason together."""
    by_problem: dict[str, list[str]] = {}
    for answer in silent:
        by_problem.setdefault(answer.problem, []).append(answer.source)
    return "; ".join(f"{', '.join(sources)}: {problem}" for problem, sources in by_problem.items())
