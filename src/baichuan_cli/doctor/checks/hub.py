"""Whether models can be fetched."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.facts.hub import Answer
from baichuan_cli.doctor.verdict import Verdict, ok, skip, warn


def sources(facts: Facts) -> Iterator[Verdict]:
    """Judge the servers that models come from; one that answers is enough."""
    if facts.hub.offline:
        yield skip("sources", f"no server was asked: {facts.hub.offline}")
        return
    answers = facts.hub.answers
    if any(not answer.problem for answer in answers):
        yield ok("sources", ", ".join(_told(answer) for answer in answers))
    else:
        yield warn(
            "sources",
            "no server that has models answers: " + ", ".join(_told(answer) for answer in answers),
            "Check the network and HTTPS_PROXY. Or take models from a folder: bcli download MODEL --source FOLDER",
        )


def _told(answer: Answer) -> str:
    return f"{answer.source} {answer.problem or f'{answer.seconds:.1f} s'}"
