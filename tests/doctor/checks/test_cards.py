"""Cards that are there and do not compute, and drivers that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from baichuan_cli.doctor.verdict import Verdict
from baichuan_cli.hardware.system import CommandResult
from doctor import patients


def test_a_container_without_the_device_file(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.remove("/dev/kfd")
    patient.remove("/dev/mkfd")
    patient.torch = {**patients.DAS_TORCH, "available": False, "cards": 0}

    verdicts = patient.verdicts()

    assert verdicts["cards"] == Verdict(
        "cards", "skipped", "2 × Hygon K100_AI (gfx928); out of reach until that is mended"
    )
    assert verdicts["device-files"] == Verdict(
        "device-files",
        "failure",
        "/dev/kfd is not in this container",
        "Start it with: docker run --device=/dev/kfd --device=/dev/dri --group-add video"
        " -v /opt/hyhal:/opt/hyhal:ro …\nThe whole command: bcli docker --profile k100-ai",
    )
    # What follows from it is not told as well.
    assert [check for check, verdict in verdicts.items() if verdict.status == "failure"] == ["device-files"]
    assert verdicts["profile"].says == "cpu, for want of a card: a card of Hygon, but no file in /dev to reach it"


def test_a_card_that_bcli_does_not_know(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.pci(*[("0x1d94", "0x9999", "0x0b4000")] * 2)
    patient.machine.answers.clear()
    patient.torch = {**patients.DAS_TORCH, "available": False, "cards": 0}

    assert patient.verdicts()["cards"] == Verdict(
        "cards",
        "failure",
        "2 × Hygon 0x9999: there, but of no use (a Hygon card that bcli does not know: 2 × 0x9999)",
        "Name the profile of a card like it: export BCLI_PROFILE=bw1000",
    )


def test_a_card_beside_a_vllm_for_the_processor(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.machine.pci(("0x10de", "0x2330", "0x030200"))
    patient.machine.files({"/dev/nvidia0": ""})

    verdicts = patient.verdicts()

    assert verdicts["cards"] == Verdict(
        "cards",
        "warning",
        "1 × NVIDIA 0x2330: there, but this vLLM was built for the processor",
        "NVIDIA: pip install '.[cuda]' in a new environment. Hygon: use the vendor's image.",
    )
    assert "device-files" not in verdicts


def test_a_display_of_amds_is_no_trouble(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.machine.pci(("0x1002", "0x1638", "0x030000"))

    assert patient.verdicts()["cards"] == Verdict(
        "cards", "ok", "1 × AMD 0x1638; the processor computes, for vLLM was built for it"
    )


def test_a_card_that_no_tool_names(tmp_path: Path) -> None:
    patient = patients.h100(tmp_path)
    patient.machine.answers["nvidia-smi"] = CommandResult(problem="not found")

    verdict = patient.verdicts()["cards"]

    assert (verdict.status, verdict.says) == ("warning", "a card of NVIDIA, but no tool says which")


def test_the_driver_is_not_loaded(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.remove("/sys/module/hycu/version")
    patient.torch = {**patients.DAS_TORCH, "available": False, "cards": 0}

    assert patient.verdicts()["driver"] == Verdict(
        "driver",
        "failure",
        "the kernel modules hycu and hydcu are not loaded",
        "On the host: install Hygon's driver, then sudo modprobe hycu",
    )


def test_a_sandbox_that_hides_the_driver(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.remove("/sys/module/hycu/version")

    assert "driver" not in patient.verdicts()


@pytest.mark.parametrize(
    ("dtk", "driver", "status"),
    [
        ("24.04.3", "6.2.26", "ok"),
        ("24.04.3", "6.2.20-V1.0", "warning"),
        ("26.04", "6.3.13-V1.12.0", "warning"),
        ("26.04", "6.3.30", "ok"),
        ("99.01", "6.2.0", "ok"),  # nothing is known of it
    ],
)
def test_the_driver_and_dtk(tmp_path: Path, dtk: str, driver: str, status: str) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.files({"/opt/dtk/.info/version": dtk, "/sys/module/hycu/version": driver})

    assert patient.verdicts()["driver"].status == status


def test_vllm_for_another_dtk(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.files({"/opt/dtk/.info/version": "25.04.1\n"})

    assert patient.verdicts()["toolkit"] == Verdict(
        "toolkit",
        "warning",
        "DTK 25.04.1, but vLLM 0.5.0+das.opt4.dtk24043 was built for DTK 24.04",
        "Use the image with DTK 24.04, or the vLLM that belongs to DTK 25.04.1.",
    )


def test_no_dtk(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    for path in ("/opt/dtk/.info/version", "/opt/dtk/lib/libgalaxyhip.so.5"):
        patient.remove(path)
    for folder in ("opt/dtk/.info", "opt/dtk/lib", "opt/dtk"):
        (patient.machine.root / folder).rmdir()

    assert patient.verdicts()["toolkit"].status == "failure"


def test_an_old_driver_of_nvidias(tmp_path: Path) -> None:
    patient = patients.h100(tmp_path)
    version = patient.machine.recorded("nvidia-version-h100.txt").replace("580.159.04", "535.104.05")
    patient.machine.files({"/proc/driver/nvidia/version": version})
    patient.torch = {**patients.CUDA_TORCH, "available": False, "cards": 0}

    assert patient.verdicts()["driver"] == Verdict(
        "driver",
        "failure",
        "535.104.05 is too old for torch, which was built for CUDA 13.0 and needs 580",
        "Update the driver on the host, or take a vLLM that was built for an older CUDA.",
    )
