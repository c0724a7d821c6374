"""The store, the disk, and what a plan for the demo says."""

from __future__ import annotations

from pathlib import Path

import pytest

from baichuan_cli.doctor.checks import examine
from baichuan_cli.doctor.surroundings import Space
from baichuan_cli.doctor.verdict import Verdict
from baichuan_cli.hub.manifest import Manifest
from baichuan_cli.hub.store import Store
from doctor import patients


def test_models_in_every_state(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    store = Store(tmp_path / "models")
    store.write(Manifest(name="baichuan2-7b-chat", source="huggingface", state="partial"))
    store.write(Manifest(name="baichuan-7b", source="huggingface", state="complete"))
    store.write(Manifest(name="mine", source="registered", folder=tmp_path / "gone"))

    said = [verdict for verdict in examine(patient.facts()) if verdict.check == "store"]

    assert said == [
        Verdict(
            "store",
            "warning",
            "The download of baichuan2-7b-chat is not finished.",
            "Go on with it: bcli download baichuan2-7b-chat",
        ),
        Verdict(
            "store",
            "warning",
            f"mine is registered, but its folder is gone: {tmp_path}/gone",
            "Bring the folder back, or forget it: bcli models rm mine",
        ),
        Verdict("store", "ok", "baichuan-7b"),
    ]


def test_a_full_disk(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.spaces["disk"] = Space(100 * 10**9, 2 * 10**9)

    assert patient.verdicts()["disk"] == Verdict(
        "disk",
        "warning",
        f"2.0 GB free for models in {tmp_path}/models; even baichuan-7b-gptq takes 4.4 GB",
        "Free some: bcli models rm NAME. Or use another disk: export BCLI_HOME=/a/folder/there",
    )


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.read_only = True

    assert patient.verdicts()["disk"] == Verdict(
        "disk", "warning", f"this user may not write to {tmp_path}/models", "export BCLI_HOME=/a/folder/of/yours"
    )


def test_a_profile_that_a_person_has_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCLI_PROFILE", "k100")

    verdicts = patients.cpu(tmp_path).verdicts()

    assert verdicts["profile"].says == (
        "k100: BCLI_PROFILE or config.yaml names it; detected is cpu (no accelerator found); demo runs in float16"
    )
    assert verdicts["cards"] == Verdict(
        "cards",
        "failure",
        "the profile k100 is about cards of Hygon, and there is none here",
        "Take cpu, which was detected: unset BCLI_PROFILE, or change config.yaml",
    )
    # What such a card would need is not asked for as well.
    assert [check for check, verdict in verdicts.items() if verdict.status == "failure"] == ["cards", "vllm", "plan"]
    assert verdicts["plan"] == Verdict(
        "plan",
        "failure",
        "vLLM 0.32.0 is outside >=0.5.0,<0.6, what k100 runs.",
        "Use a vLLM in this range, or another --profile.",
    )


def test_a_profile_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCLI_PROFILE", "k101")

    verdict = patients.cpu(tmp_path).verdicts()["profile"]

    assert (verdict.status, verdict.says) == ("failure", "There is no profile 'k101'.")
