"""`bcli profiles`: whole outputs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from baichuan_cli.__main__ import main
from baichuan_cli.cli.completion import complete_profile
from baichuan_cli.errors import ExitCode
from baichuan_cli.hardware.detect import Detection
from baichuan_cli.hardware.files import shipped_dir
from baichuan_cli.hardware.machine import Device, Machine
from baichuan_cli.hardware.probes import Step

MINE = """\
extends: z100l
title: The old box
settings:
  max_model_len: {value: 2048, because: it swaps otherwise}
conditions:
- min_tensor_parallel_size: 2
  environment:
    NCCL_SOCKET_IFNAME: {value: eth1, because: eth0 is slow}
"""

DETECTION = Detection(
    steps=(
        Step("/sys/bus/pci/devices", "2 × Hygon K100_AI (gfx928)"),
        Step("hy-smi", "no answer within 60 s"),
    ),
    profile_name="k100-ai",
    reason="2 × K100_AI (gfx928)",
    machine=Machine(
        devices=(Device("K100_AI", "gfx928", 65520 * 2**20),) * 2,
        host_memory_bytes=512 * 2**30,
        cpu_cores=64,
        cpu_flags=frozenset({"avx2", "fma"}),
        numa_nodes=4,
    ),
)


@pytest.fixture
def own_profiles(isolation: Path) -> Path:
    folder = isolation / "config" / "profiles"
    folder.mkdir(parents=True)
    return folder


class Bcli:
    """Run bcli in this process; what it wrote is in `out` and `err`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        self._monkeypatch.setattr(sys, "argv", ["bcli", "profiles", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        self.out, self.err = self._capsys.readouterr()
        return int(stopped.value.code or 0)


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bcli:
    return Bcli(monkeypatch, capsys)


def test_list(bcli: Bcli, own_profiles: Path) -> None:
    (own_profiles / "mine.yaml").write_text(MINE, encoding="utf-8")
    (own_profiles / "cpu.yaml").write_text("extends: cpu\ntitle: 我的 CPU\n", encoding="utf-8")
    (own_profiles / "broken.yaml").write_text("title: Broken\n", encoding="utf-8")

    assert bcli("list") == ExitCode.OK
    assert (
        bcli.out
        == """\
name     title                          from
broken   cannot be used                 yours
bw1000   Hygon BW1000 family, 64 GB     shipped with bcli
cpu      我的 CPU                       yours, hides the shipped one
cuda     NVIDIA GPU with CUDA           shipped with bcli
k100     Hygon K100, 64 GB              shipped with bcli
k100-ai  Hygon K100_AI, 64 GB           shipped with bcli
mine     The old box                    yours
rocm     AMD GPU with ROCm              shipped with bcli
z100l    Hygon Z100L (and Z100), 32 GB  shipped with bcli
"""
    )
    assert (
        bcli.err
        == f"""\
warning: {own_profiles}/broken.yaml: the profile makes no sense.
  • kind: is missing
  • hardware: is missing
Your own profiles go to {own_profiles}
"""
    )


def test_list_as_json(bcli: Bcli) -> None:
    assert bcli("list", "--json") == ExitCode.OK
    listed = json.loads(bcli.out)
    assert listed["schema"] == "bcli.profiles/1"
    assert listed["profiles"][0] == {
        "name": "bw1000",
        "title": "Hygon BW1000 family, 64 GB",
        "problem": "",
        "path": str(shipped_dir() / "bw1000.yaml"),
        "from": "shipped",
        "hides_shipped": False,
    }
    assert bcli.err == ""


def test_show(bcli: Bcli, own_profiles: Path) -> None:
    (own_profiles / "mine.yaml").write_text(MINE, encoding="utf-8")

    assert bcli("show", "mine") == ExitCode.OK
    assert (
        bcli.out
        == f"""\
profile          mine · The old box
file             {own_profiles}/mine.yaml (yours)
extends          z100l, k100
architectures    gfx906
memory           32 GiB a card
dtypes           float16, float32
quantizations    gptq
forbidden        awq: not supported on K100 and Z100L (reference README)
forbidden        gptq_marlin: vLLM 0.5.0 has no Marlin kernels on ROCm
forbidden        awq_marlin: vLLM 0.5.0 has no Marlin kernels on ROCm
forbidden        fp8: no FP8 units on this card
forbidden        gguf: not on ROCm in vLLM 0.5.0
forbidden        bitsandbytes: not on ROCm in vLLM 0.5.0
doubtful         gptq: garbled answers of a 4-bit Qwen were reported on this card
must not be set  HSA_OVERRIDE_GFX_VERSION: it hides the card's real architecture
must not be set  ROCR_VISIBLE_DEVICES: choose cards with HIP_VISIBLE_DEVICES instead
must not be set  LLAMA_NN: the vendor's vLLM sets it by itself, for each model
vLLM             >=0.5.0,<0.6
note             Choose cards with HIP_VISIBLE_DEVICES; this card needs it set, for example HIP_VISIBLE_DEVICES=0.
note             The vendor's image with vLLM 0.5.0 is custom:vllm0.5.0-dtk24.04.1-ubuntu20.04-py310-zk-v1.
note             Driver errors were reported on UOS 1050u1a; the vendor recommends Kylin V10 SP2.

setting                     value    when             because
dtype                       float16  always           no native bfloat16 (reference README)
tensor_parallel_size        1        always           one card holds a 7B model and a 13B GPTQ one
enforce_eager               true     always           reference README; no evidence for graphs on this card
gpu_memory_utilization      0.9      always           vLLM 0.5.0's default; no evidence for another on this card
max_model_len               2048     always           it swaps otherwise
VLLM_USE_TRITON_FLASH_ATTN  0        always           the vendor build's own default, pinned
NCCL_SOCKET_IFNAME          eth1     2 cards or more  eth0 is slow
"""
    )
    assert bcli.err == "The evidence for each value: bcli profiles show mine --source\n"


def test_show_names_every_kind_of_condition(bcli: Bcli) -> None:
    assert bcli("show", "rocm") == ExitCode.OK
    rows = [" ".join(line.split()[:9]) for line in bcli.out.splitlines()]
    assert "quantizations fp8 vLLM >=0.8.5, gfx942 or gfx950 or gfx1200" in rows
    assert "NCCL_MIN_NCHANNELS 112 2 cards or more, gfx942 vLLM's ROCm" in rows
    assert bcli("show", "cpu") == ExitCode.OK
    assert "CPU with avx512_bf16 or amx_bf16" in bcli.out


def test_show_as_json(bcli: Bcli) -> None:
    assert bcli("show", "z100l", "--json") == ExitCode.OK
    shown = json.loads(bcli.out)
    assert (shown["schema"], shown["from"], shown["extends"]) == ("bcli.profile/1", "shipped", ["k100"])
    assert shown["profile"]["hardware"]["memory_gib"] == 32
    assert shown["profile"]["settings"]["dtype"] == {
        "value": "float16",
        "because": "no native bfloat16 (reference README)",
    }


def test_show_the_file_itself(bcli: Bcli) -> None:
    assert bcli("show", "k100", "--source") == ExitCode.OK
    assert bcli.out == (shipped_dir() / "k100.yaml").read_text(encoding="utf-8")


def test_show_an_unknown_name(bcli: Bcli) -> None:
    assert bcli("show", "k100ai") == ExitCode.NOT_FOUND
    assert (bcli.out, bcli.err) == (
        "",
        "error: There is no profile 'k100ai'.\n  Did you mean k100-ai or k100? See them all: bcli profiles list\n",
    )


def test_validate(bcli: Bcli, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE, encoding="utf-8")

    assert bcli("validate", str(path)) == ExitCode.OK
    assert (bcli.out, bcli.err) == (f"{path} is a valid profile: mine · The old box\n", "")
    assert bcli("validate", str(path), "--json") == ExitCode.OK
    assert json.loads(bcli.out) == {"schema": "bcli.profile-check/1", "valid": True, "name": "mine", "path": str(path)}


def test_validate_a_wrong_file(bcli: Bcli, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: cpu\nsettings:\n  dtyp: float16\n", encoding="utf-8")

    assert bcli("validate", str(path)) == ExitCode.INVALID
    assert (bcli.out, bcli.err) == (
        "",
        f"error: {path}: the profile makes no sense.\n"
        "  • settings: dtyp: there is no setting 'dtyp'. Did you mean dtype?\n"
        "  A working example: bcli profiles show cuda --source\n",
    )


def test_validate_a_missing_file(bcli: Bcli) -> None:
    assert bcli("validate", "nowhere.yaml") == ExitCode.NOT_FOUND
    assert bcli.err == "error: There is no file nowhere.yaml.\n"


def test_detect(bcli: Bcli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baichuan_cli.hardware.detect.detect", lambda: DETECTION)

    assert bcli("detect") == ExitCode.OK
    assert (
        bcli.out
        == """\
looked at             saw
/sys/bus/pci/devices  2 × Hygon K100_AI (gfx928)
hy-smi                no answer within 60 s

host     64 cores, 512.0 GiB, 4 NUMA nodes
profile  k100-ai
because  2 × K100_AI (gfx928)
"""
    )


def test_detect_as_json(bcli: Bcli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baichuan_cli.hardware.detect.detect", lambda: DETECTION)

    assert bcli("detect", "--json") == ExitCode.OK
    card = {"name": "K100_AI", "architecture": "gfx928", "memory_bytes": 65520 * 2**20}
    assert json.loads(bcli.out) == {
        "schema": "bcli.detection/1",
        "profile": "k100-ai",
        "reason": "2 × K100_AI (gfx928)",
        "steps": [
            {"looked_at": "/sys/bus/pci/devices", "saw": "2 × Hygon K100_AI (gfx928)"},
            {"looked_at": "hy-smi", "saw": "no answer within 60 s"},
        ],
        "machine": {
            "devices": [card, card],
            "host_memory_bytes": 512 * 2**30,
            "cpu_cores": 64,
            "cpu_flags": ["avx2", "fma"],
            "numa_nodes": 4,
        },
    }


def test_the_shell_completes_names(own_profiles: Path) -> None:
    (own_profiles / "kitchen.yaml").write_text("not even read", encoding="utf-8")
    assert complete_profile("k") == ["k100", "k100-ai", "kitchen"]
    assert complete_profile("K100") == ["k100", "k100-ai"]
    assert complete_profile("x") == []
