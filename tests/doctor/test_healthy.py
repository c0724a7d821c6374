"""Machines where all is well: the doctor says so, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from baichuan_cli.doctor.checks import examine
from baichuan_cli.doctor.verdict import Verdict, exit_status
from doctor import patients


@pytest.mark.parametrize("make", [patients.cpu, patients.k100_ai, patients.h100, patients.mi300x])
def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path, make: Callable[[Path], patients.Patient]) -> None:
    verdicts = examine(make(tmp_path).facts())

    assert [verdict for verdict in verdicts if verdict.status != "ok"] == [
        Verdict("sources", "skipped", "no server was asked: --offline")
    ]
    assert exit_status(verdicts) == 0


def test_the_vendors_container_in_full(tmp_path: Path) -> None:
    said = [(verdict.check, verdict.says) for verdict in examine(patients.k100_ai(tmp_path).facts())]

    assert said == [
        ("platform", "Linux 5.15.0-105-generic · x86_64 · Ubuntu 22.04.4 LTS · in a container (docker)"),
        ("python", "3.10.12 in /venv"),
        ("cpu", "64 cores"),
        ("memory", "128.0 GiB may be used; 112.0 GiB of it is free"),
        ("shared-memory", "64.0 GiB in /dev/shm"),
        ("locked-memory", "no limit"),
        ("cards", "2 × K100_AI (gfx928, 64.0 GiB)"),
        ("driver", "6.3.13-V1.12.0"),
        ("toolkit", "DTK 24.04.3 in /opt/dtk"),
        ("device-files", "/dev/kfd, /dev/mkfd, /dev/dri/renderD128, /dev/dri/renderD129"),
        ("hyhal", "/opt/hyhal, the driver's libraries"),
        ("library-path", "torch has loaded libgalaxyhip.so"),
        ("visible-devices", "HIP_VISIBLE_DEVICES=0,1"),
        ("torch", "2.3.0+das.opt2.dtk24043, built for ROCm or DTK, reaches 2 cards"),
        ("vllm", "0.5.0+das.opt4.dtk24043, built for ROCm or DTK"),
        ("transformers", "4.42.4, tokenizers 0.19.1, huggingface-hub 0.23.4"),
        ("triton", "2.1.0+das.opt1.dtk24043"),
        ("server", "vLLM's server imports"),
        ("versions", "torch, transformers, vLLM and their like fit each other"),
        ("plugins", "vLLM 0.5.0+das.opt4.dtk24043 loads none; bcli registers its own where it starts vLLM"),
        ("baichuan", "vLLM knows it by its own code"),
        ("sources", "no server was asked: --offline"),
        ("store", f"empty; the demo comes with bcli ({tmp_path}/models)"),
        ("disk", f"500.0 GB free for models in {tmp_path}/models"),
        ("profile", "k100-ai: 2 × K100_AI (gfx928, 64.0 GiB); demo runs in float16"),
    ]
