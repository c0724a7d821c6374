"""Verdicts on the servers that models come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from baichuan_cli.doctor.checks.hub import sources
from baichuan_cli.doctor.facts.hub import Answer, Hub
from baichuan_cli.doctor.verdict import Verdict
from doctor import patients


def judge(tmp_path: Path, *answers: Answer) -> list[Verdict]:
    """Return what is said about these answers."""
    return list(sources(replace(patients.cpu(tmp_path).facts(), hub=Hub(answers))))


def test_one_that_answers_is_enough(tmp_path: Path) -> None:
    answers = (Answer("huggingface", problem="no answer within 12 s"), Answer("hf-mirror", 0.42))

    assert judge(tmp_path, *answers) == [
        Verdict("sources", "ok", "hf-mirror answers in 0.4 s; not huggingface: no answer within 12 s")
    ]


def test_none_answers(tmp_path: Path) -> None:
    answers = (
        Answer("huggingface", problem="gone"),
        Answer("hf-mirror", problem="gone"),
        Answer("modelscope", 0, "x"),
    )

    assert judge(tmp_path, *answers) == [
        Verdict(
            "sources",
            "warning",
            "no server answers: huggingface, hf-mirror: gone; modelscope: x",
            "Check the network and HTTPS_PROXY. Or take models from a folder: bcli download MODEL --source FOLDER",
        )
    ]
