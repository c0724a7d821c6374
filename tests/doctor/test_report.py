"""The report as a whole."""

from __future__ import annotations

from pathlib import Path

from baichuan_cli import __version__
from baichuan_cli.doctor.checks import examine
from baichuan_cli.doctor.report import write_report
from doctor import patients


def test_a_report(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.closed = {"/dev/kfd"}
    patient.imports["server"] = "ModuleNotFoundError: No module named 'pyairports'\nbecause"
    facts = patient.facts()
    variables = {
        "HF_TOKEN": "hf_abc",
        "HIP_VISIBLE_DEVICES": "0,1",
        "NOBODYS": "business",
        "https_proxy": "http://p:1",
    }

    report = write_report(facts, examine(facts), variables)

    head, *sections = report.split("\n\n== ")
    told = {title: text for title, _, text in (section.partition("\n") for section in sections)}
    assert head == f"bcli doctor report · bcli {__version__}"
    assert "failure device-files     this user may not open /dev/kfd\n" in told["Verdicts"]
    assert "                         -> docker run --group-add 109 …\n" in told["Verdicts"]
    assert told["Cards"].splitlines()[-2] == "hy-smi: 2 × K100_AI (gfx928, 64.0 GiB)"
    assert told["Reaching the cards"].splitlines() == [
        "kernel driver: 6.3.13-V1.12.0",
        "/opt/dtk: 24.04.3",
        "/opt/hyhal: there",
        "/dev/kfd: group render, may not be opened",
        "/dev/mkfd: group unknown, may be opened",
        "/dev/dri/renderD128: group render, may be opened",
        "/dev/dri/renderD129: group unknown, may be opened",
        "this user's groups that matter: render, video",
    ]
    assert told["Host"].splitlines() == [
        "Linux 5.15.0-105-generic x86_64, Ubuntu 22.04.4 LTS",
        "container: docker",
        "cores: 64 of 64, 1 NUMA nodes",
        "memory: 128.0 GiB",
        "processor flags: amx_bf16 avx2 avx512_bf16 avx512f",
        "Python 3.10.12 in /venv",
    ]
    assert told["Packages"].splitlines() == [
        "baichuan-cli 1.0.0",
        "huggingface-hub 0.23.4",
        "pydantic 2.7.4",
        "tokenizers 0.19.1",
        "torch 2.3.0+das.opt2.dtk24043",
        "transformers 4.42.4",
        "triton 2.1.0+das.opt1.dtk24043",
        "vllm 0.5.0+das.opt4.dtk24043",
        "vllm.general_plugins: baichuan = baichuan_cli.vllm_plugin:register (baichuan-cli)",
    ]
    assert told["Trial imports"].splitlines() == [
        "torch: ok",
        "triton: ok",
        "transformers: ok",
        "vllm: ok",
        "server: ModuleNotFoundError: No module named 'pyairports'",
        "    because",
        "stand-ins: ok",
        "torch 2.3.0+das.opt2.dtk24043: CUDA None, HIP 5.7.24184, reaches 2 cards",
    ]
    assert told["Environment variables"].splitlines() == [
        "HF_TOKEN=<secret>",
        "HIP_VISIBLE_DEVICES=0,1",
        "https_proxy=http://p:1",
    ]
    plan = told["Plan for the model that is used when none is named"].splitlines()
    assert plan[0].startswith("dtype | float16 | profile k100-ai | ")


def test_without_vllm_there_is_no_plan(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.vllm, patient.torch, patient.imports = None, None, {}
    facts = patient.facts()

    assert write_report(facts, examine(facts), {}).endswith("when none is named\nnone\n")
