"""`bcli doctor --engine`: what is said of engines that are right, wrong, refused, or dead."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baichuan_cli.bench.child import ChildDied
from baichuan_cli.cli.doctor_engine import Told, ask_in_child, examine_engines
from baichuan_cli.cli.output import Output
from baichuan_cli.cli.planning import Wishes
from baichuan_cli.demo import demo_path
from baichuan_cli.doctor.verdict import Verdict
from baichuan_cli.errors import BcliError
from cli.in_process import Bcli, run_bcli
from doctor import patients
from self_check.verdicts import replies_of

RECORDED = json.loads((Path(__file__).parents[1] / "self_check" / "replies.json").read_text())
RIGHT = {"demo": "rope", "demo-alibi": "alibi"}

Engines = Callable[[dict[str, Any]], None]


@pytest.fixture
def patient(tmp_path: Path) -> patients.Patient:
    """A machine without a card where all is well."""
    return patients.cpu(tmp_path)


@pytest.fixture
def doctor(patient: patients.Patient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bcli:
    """Run `bcli doctor --offline` there."""
    monkeypatch.setattr("baichuan_cli.doctor.facts.everything.gather", lambda *_, offline: patient.facts())
    return lambda *arguments: run_bcli(("doctor", "--offline", *arguments), monkeypatch, capfd)


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    """Let each model's process hand back what a real engine once said, or fail; on a CPU that has bfloat16."""
    from baichuan_cli.plan.release import Release

    monkeypatch.setattr("baichuan_cli.cli.planning._release", lambda wanted: Release.parse(wanted or "0.32.0"))
    monkeypatch.setattr(
        "baichuan_cli.hardware.host._cpu_flags", lambda _: frozenset({"avx2", "avx512f", "avx512_bf16"})
    )

    def say(said: dict[str, Any]) -> None:
        def results_of(work: Any, wishes: Wishes) -> Iterator[Told]:
            answer = said[str(wishes.model)]
            if isinstance(answer, Exception):
                raise answer
            yield answer if isinstance(answer, Told) else Told(replies_of(RECORDED[answer]))

        monkeypatch.setattr("baichuan_cli.bench.child.results_of", results_of)

    return say


def _verdicts(model: str | None = None) -> list[Verdict]:
    return [
        replace(one.verdict, says=one.verdict.says.rpartition(" (")[0])
        for one in examine_engines(Wishes(model=model), Output())
    ]


def test_right_engines(engines: Engines) -> None:
    engines(RIGHT)
    rope, alibi = _verdicts()
    assert rope == Verdict(
        "answers",
        "ok",
        "demo: answers are right: 1,000 log-probabilities differ from float32 by 0.088 in the mean; rounding to"
        " bfloat16 alone gives 0.087",
    )
    assert (alibi.status, alibi.says.startswith("demo-alibi: answers are right")) == ("ok", True)


def test_a_fault_is_told_with_what_to_do(engines: Engines) -> None:
    engines({**RIGHT, "demo-alibi": "alibi left out in prefill"})
    _, alibi = _verdicts()
    assert alibi.status == "failure"
    assert alibi.says == (
        "demo-alibi: answers are wrong: they fit a model without ALiBi in prefill. Mean difference 0.087, against 27"
        " to the right model"
    )
    assert alibi.fix.startswith("Choose another attention: ")


def test_a_checkpoint_of_ones_own_is_judged_by_its_own_files(engines: Engines, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for file in demo_path("demo-alibi").iterdir():
        (folder / file.name).symlink_to(file)
    engines({**RIGHT, str(folder): "alibi left out"})
    *_, mine = _verdicts(str(folder))
    assert mine.says.startswith("mine: answers are wrong: they fit a model without ALiBi.")


def test_an_engine_that_fails_or_dies(engines: Engines) -> None:
    engines({"demo": Told(error="vLLM failed: Out of memory.", hint="Try less."), "demo-alibi": ChildDied(-11)})
    failed, died = (one.verdict for one in examine_engines(Wishes(), Output()))
    assert failed == Verdict("answers", "failure", "demo: vLLM failed: Out of memory.", "Try less.")
    assert died.says == "demo-alibi: the process was killed by signal 11, with the engine in it."


def test_an_engine_that_fails_as_it_ends_is_told_once(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def started(*_: object, **__: object) -> Iterator[tuple[None, None, float]]:
        yield None, None, 0.0
        raise BcliError("vLLM failed: it does not end.")

    monkeypatch.setattr("baichuan_cli.cli.engine_run.started", started)
    monkeypatch.setattr("baichuan_cli.cli.self_check.ask_planned", lambda *_: [])
    assert list(ask_in_child(Wishes(model="demo"))) == [Told(error="vLLM failed: it does not end.")]


def test_a_demo_that_the_plan_refuses_is_a_warning_and_a_model_that_is_not_there_a_failure(
    engines: Engines,
) -> None:
    engines(RIGHT)
    wishes = Wishes(model="baichuan2-7b-chat", assignments=("kv_cache_dtype=fp8_e4m3", "tensor_parallel_size=3"))
    demo, alibi, asked_for = (one.verdict for one in examine_engines(wishes, Output()))
    assert (demo.status, alibi.status, asked_for.status) == ("warning", "warning", "failure")
    assert demo.says.startswith("demo was not run: tensor_parallel_size 3 cannot split this checkpoint.")
    absent = examine_engines(Wishes(model="baichuan2-7b-chat"), Output())[-1].verdict
    assert (absent.status, absent.says) == ("failure", "baichuan2-7b-chat: baichuan2-7b-chat is not on this machine.")


def test_without_vllm_no_engine_is_started(patient: patients.Patient, doctor: Bcli) -> None:
    patient.vllm, patient.torch, patient.imports = None, None, {}
    ran = doctor("--engine")
    assert ran.code == 2
    assert "–  answers        no engine was started: vLLM is not installed\n" in ran.stdout


def test_numbers_go_into_the_json(engines: Engines, doctor: Bcli) -> None:
    engines({**RIGHT, "demo-alibi": "alibi left out"})
    ran = doctor("--engine", "--json")
    told = json.loads(ran.stdout)
    assert (ran.code, ran.stderr, told["runs"]) == (2, "", False)
    assert [check["status"] for check in told["checks"] if check["check"] == "answers"] == ["ok", "failure"]
    assert [(one["model"], one["passed"], one["cause"]) for one in told["self_check"]] == [
        ("demo", True, None),
        ("demo-alibi", False, "alibi"),
    ]


def test_wrong_answers_of_one_model_do_not_stop_the_others(engines: Engines, doctor: Bcli) -> None:
    engines({**RIGHT, "demo-alibi": "alibi left out"})
    ran = doctor("--engine")
    headline, _, alibi, *_ = ran.stdout.splitlines()
    assert (ran.code, headline) == (2, "bcli cannot run every model here: 1 thing to mend.")
    assert alibi.startswith("✗  answers        demo-alibi: answers are wrong: they fit a model without ALiBi.")


def test_a_model_without_an_engine_is_a_mistake(doctor: Bcli) -> None:
    ran = doctor("--model", "demo")
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == "error: --model, --profile and --set are about an engine.\n  Add --engine.\n"
