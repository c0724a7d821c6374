"""`bcli doctor` as a person sees it: whole outputs, exit statuses, and the file of the report."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from baichuan_cli.cli.doctor_view import show
from baichuan_cli.cli.output import Output
from baichuan_cli.doctor.checks import examine
from baichuan_cli.doctor.facts.everything import Facts
from cli.in_process import Bcli, run_bcli
from doctor import patients


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bcli:
    return lambda *arguments: run_bcli(arguments, monkeypatch, capfd)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[patients.Patient], None]:
    """Return what puts `bcli doctor` onto another machine."""

    def put(patient: patients.Patient) -> None:
        def gather(*_: object, offline: bool) -> Facts:
            assert offline
            return patient.facts()

        monkeypatch.setattr("baichuan_cli.doctor.facts.everything.gather", gather)

    return put


Put = Callable[[patients.Patient], None]


def test_all_is_well(bcli: Bcli, on: Put, tmp_path: Path) -> None:
    on(patients.cpu(tmp_path))

    ran = bcli("doctor", "--offline")

    assert (ran.code, ran.stderr) == (0, "")
    assert (
        ran.stdout
        == f"""\
bcli can run here. All is well.

✓  platform       Linux 5.15.0-105-generic · x86_64 · Ubuntu 22.04.4 LTS
✓  python         3.10.12 in /venv
✓  cpu            64 cores with AVX-512, bfloat16, AMX
✓  memory         128.0 GiB may be used; 112.0 GiB of it is free
✓  shared-memory  64.0 GiB in /dev/shm
✓  cards          none; the processor computes
✓  torch          2.13.0+cpu, built for the CPU
✓  vllm           0.32.0, built for the CPU
✓  transformers   5.19.0, tokenizers 0.23.3, huggingface-hub 2.4.0
✓  server         vLLM's server imports
✓  versions       torch, transformers, vLLM and their like fit each other
✓  plugins        baichuan
✓  baichuan       vLLM knows it by bcli's plugin
–  sources        no server was asked: --offline
✓  store          empty; the demo comes with bcli ({tmp_path}/models)
✓  disk           500.0 GB free for models in {tmp_path}/models
✓  profile        cpu: no accelerator found; demo runs in bfloat16
"""
    )


def test_with_warnings(bcli: Bcli, on: Put, tmp_path: Path) -> None:
    patient = patients.h100(tmp_path)
    patient.install("transformers", "5.19.0", "tokenizers>=0.22")
    on(patient)

    ran = bcli("doctor", "--offline")

    assert ran.code == 1
    assert ran.stdout.startswith(
        """\
bcli can run here, with 1 warning.

!  versions         transformers 5.19.0 wants tokenizers>=0.22, which is not installed
                    → Put back the versions that came with vLLM. In a vendor's image: start again from the image.

✓  platform         Linux"""
    )


def test_what_is_to_be_mended_comes_first(bcli: Bcli, on: Put, tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    for path in ("/dev/kfd", "/dev/mkfd"):
        patient.remove(path)
    patient.imports["server"] = patient.imports["stand-ins"] = "ImportError: cannot import name 'x'"
    on(patient)

    ran = bcli("doctor", "--offline")

    assert ran.code == 2
    assert ran.stdout.startswith(
        """\
bcli cannot run here: 1 thing to mend, and 1 warning.

✗  device-files     /dev/kfd is not in this container
                    → Start it with: docker run --device=/dev/kfd --device=/dev/dri --group-add video -v\
 /opt/hyhal:/opt/hyhal:ro …
                    The whole command: bcli docker --profile k100-ai
!  server           bcli serve and bcli chat will not work. ImportError: cannot import name 'x'
                    → See all of it: python -c "import vllm.entrypoints.openai.api_server"

✓  platform         Linux"""
    )


def test_as_json(bcli: Bcli, on: Put, tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.machine.files({"/proc/cpuinfo": "flags : avx2\n"})
    on(patient)

    ran = bcli("doctor", "--offline", "--json")

    told = json.loads(ran.stdout)
    assert (ran.code, ran.stderr) == (1, "")
    assert {key: told[key] for key in ("schema", "vllm", "profile", "runs")} == {
        "schema": "bcli.doctor/1",
        "vllm": "0.32.0",
        "profile": "cpu",
        "runs": True,
    }
    assert told["checks"][2] == {
        "check": "cpu",
        "status": "warning",
        "says": "64 cores without AVX-512: slower, and GPTQ and AWQ checkpoints are refused",
        "fix": "",
    }
    assert told["detection"][0] == {"looked_at": "/sys/bus/pci/devices", "saw": "no card of Hygon, NVIDIA or AMD"}


def test_a_report_is_written_and_blacked_out(
    bcli: Bcli, on: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "not-of-any-shape")
    monkeypatch.setenv("HOME", "/people/zhangsan")
    monkeypatch.setenv("VLLM_CONFIG_ROOT", "/people/zhangsan/vllm by zhangsan, not-of-any-shape")
    on(patients.cpu(tmp_path))
    file = tmp_path / "report.txt"

    ran = bcli("doctor", "--offline", "--report", str(file))

    assert ran.code == 0
    assert ran.stderr == f"The report is in {file}. Read it before you send it.\n"
    report = file.read_text(encoding="utf-8")
    assert report.startswith("bcli doctor report · bcli ")
    assert "VLLM_CONFIG_ROOT=~/vllm by <user>, <secret>\n" in report
    assert "zhangsan" not in report and "not-of-any-shape" not in report


def test_a_report_replaces_a_report_and_nothing_else(bcli: Bcli, on: Put, tmp_path: Path) -> None:
    on(patients.cpu(tmp_path))
    report, letter = tmp_path / "report.txt", tmp_path / "letter.txt"
    letter.write_text("Dear", encoding="utf-8")

    assert bcli("doctor", "--offline", "--report", str(report)).code == 0
    assert bcli("doctor", "--offline", "--report", str(report)).code == 0
    refused = bcli("doctor", "--offline", "--report", str(letter))

    assert (refused.code, refused.stdout) == (7, "")
    assert refused.stderr == (
        f"error: {letter} is there already, and is no report of bcli's.\n"
        "  Give another path; only reports are replaced.\n"
    )
    assert letter.read_text(encoding="utf-8") == "Dear"


def test_a_report_in_a_folder_that_is_not_there(bcli: Bcli, tmp_path: Path) -> None:
    ran = bcli("doctor", "--report", str(tmp_path / "nowhere" / "report.txt"))

    assert (ran.code, ran.stderr) == (
        7,
        f"error: There is no folder {tmp_path}/nowhere.\n  Give another path.\n",
    )


def test_an_encoding_without_check_marks(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.remove("/dev/mkfd")
    patient.remove("/dev/kfd")
    facts, stream = patient.facts(), io.TextIOWrapper(io.BytesIO(), encoding="gbk")

    show(facts, examine(facts), Output(stdout=stream))

    stream.seek(0)
    marks = [line[:3] for line in stream.read().splitlines()[2:] if line[:1].strip()]
    assert (marks[0], set(marks)) == ("x  ", {"x  ", "+  ", "-  "})
