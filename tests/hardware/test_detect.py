"""Which profile detection picks, on machines put together from recorded outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from baichuan_cli.hardware.detect import detect
from baichuan_cli.hardware.machine import Device
from baichuan_cli.hardware.system import CommandResult, System, run_command
from baichuan_cli.hardware.tools import torch_devices

if TYPE_CHECKING:
    from fakes.recorded_machine import RecordedMachine

GIB = 2**30
DCU_FILES = {"/dev/kfd": "", "/dev/mkfd": "", "/sys/module/hycu/version": "6.3.13-V1.12.0\n"}
_TORCH_WITH_TWO_CARDS = """
import os
from types import SimpleNamespace as Some
version = Some(hip=None)
cards = [Some(name=name, major=9, minor=0, total_memory=2**30) for name in "AB"]
seen = [cards[int(each)] for each in os.environ.get("CUDA_VISIBLE_DEVICES", "0,1").split(",")]
cuda = Some(device_count=lambda: len(seen), get_device_properties=seen.__getitem__)
"""
HYGON_BRIDGE = ("0x1d94", "0x1480", "0x060000")


def test_k100_ai_is_known_from_pci_and_measured_by_hy_smi(machine: RecordedMachine) -> None:
    machine.pci(HYGON_BRIDGE, ("0x1d94", "0x6210", "0x0b4000"), ("0x1d94", "0x6210", "0x0b4000"))
    machine.files({**DCU_FILES, "/opt/hyhal/bin/hy-smi": ""})
    machine.torch("2.3.0+das.opt2.dtk24043", hip="'5.7.24184'")
    machine.says("hy-smi", "hy-smi-k100-ai.json")

    found = detect(machine.system)

    assert found.profile_name == "k100-ai"
    assert found.reason == "2 × K100_AI (gfx928, 64.0 GiB)"
    assert found.machine.devices == (Device("K100_AI", "gfx928", 65520 * 2**20),) * 2
    assert [(step.looked_at, step.saw) for step in found.steps] == [
        ("/sys/bus/pci/devices", "2 × Hygon K100_AI (gfx928)"),
        ("kernel modules hycu, hydcu, nvidia", "hycu 6.3.13-V1.12.0"),
        ("/dev/kfd, /dev/mkfd, /dev/nvidia*, /dev/dxg", "/dev/kfd, /dev/mkfd"),
        ("/sys/class/kfd/kfd/topology/nodes", "no card"),
        ("torch's version file", "torch 2.3.0+das.opt2.dtk24043 for ROCm 5.7.24184"),
        ("hy-smi", "2 × K100_AI (gfx928, 64.0 GiB)"),
    ]
    assert machine.asked == ["hy-smi"]


@pytest.mark.parametrize(
    ("device_id", "profile", "architecture"),
    [
        ("0x55b7", "z100l", "gfx906"),
        ("0x54b7", "z100l", "gfx906"),
        ("0x62b7", "k100", "gfx926"),
        ("0x62c7", "k100", "gfx926"),
        ("0x6210", "k100-ai", "gfx928"),
        ("0x62b0", "k100-ai", "gfx928"),
        ("0x6320", "bw1000", "gfx936"),
        ("0x631a", "bw1000", "gfx936"),
        ("0x6430", "bw1000", "gfx938"),
    ],
)
def test_a_hygon_card_is_known_by_its_pci_id_alone(
    machine: RecordedMachine, device_id: str, profile: str, architecture: str
) -> None:
    machine.pci(("0x1d94", device_id, "0x038000"))
    machine.files(DCU_FILES)

    found = detect(machine.system)

    assert found.profile_name == profile
    assert [device.architecture for device in found.machine.devices] == [architecture]
    assert [(step.looked_at, step.saw) for step in found.steps[-2:]] == [
        ("hy-smi", "not found"),
        ("rocminfo", "not found"),
    ]


def test_bw_is_known_by_name_where_pci_is_hidden(machine: RecordedMachine) -> None:
    machine.files({"/dev/kfd": "", "/opt/hyhal/bin/hy-smi": ""})
    machine.says("hy-smi", "hy-smi-bw.json")

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("bw1000", "2 × BW (gfx936, 64.0 GiB)")


def test_gfx906_of_hygon_is_a_z100l(machine: RecordedMachine) -> None:
    machine.files({"/dev/kfd": "", "/opt/dtk/bin/rocminfo": ""})
    machine.says("rocminfo", "rocminfo-z100l.txt")

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("z100l", "1 × Z100L (gfx906, 32.0 GiB)")


def test_gfx906_of_amd_is_rocm(machine: RecordedMachine) -> None:
    node = "/sys/class/kfd/kfd/topology/nodes/1"
    machine.pci(("0x1002", "0x66a1", "0x038000"))
    machine.files(
        {
            "/dev/kfd": "",
            f"{node}/properties": "vendor_id 4098\ndevice_id 26273\ngfx_target_version 90006\n",
            f"{node}/mem_banks/0/properties": "heap_type 1\nsize_in_bytes 34342961152\n",
        }
    )

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("rocm", "1 × gfx906 (32.0 GiB)")
    assert machine.asked == []


def test_the_rocm_runtime_can_tell_hygon_from_amd(machine: RecordedMachine) -> None:
    machine.files({"/dev/kfd": "", "/opt/rocm/bin/rocminfo": ""})
    machine.says("rocminfo", "rocminfo-z100l.txt")

    assert detect(machine.system).profile_name == "z100l"


def test_mi300x_by_the_kernel_alone(machine: RecordedMachine) -> None:
    nodes = "/sys/class/kfd/kfd/topology/nodes"
    machine.pci(*[("0x1002", "0x74a1", "0x120000")] * 8)
    machine.files({"/dev/kfd": "", f"{nodes}/0/properties": "cpu_cores_count 96\nvendor_id 0\ngfx_target_version 0\n"})
    for node in range(2, 10):
        machine.files(
            {
                f"{nodes}/{node}/properties": machine.recorded("kfd-mi300x.txt"),
                f"{nodes}/{node}/mem_banks/0/properties": "heap_type 1\nsize_in_bytes 206141652992\nflags 0\n",
            }
        )

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("rocm", "8 × gfx942 (192.0 GiB)")
    assert machine.asked == []


def test_mi300x_by_rocminfo(machine: RecordedMachine) -> None:
    machine.pci(("0x1002", "0x74b5", "0x120000"))
    machine.files({"/dev/kfd": ""})
    machine.says("rocminfo", "rocminfo-mi300x.txt")

    found = detect(machine.system)

    assert found.profile_name == "rocm"
    assert found.machine.devices == (Device("AMD Instinct MI300X VF", "gfx942", 200998912 * 1024),)


def test_h100(machine: RecordedMachine) -> None:
    machine.pci(("0x10de", "0x2330", "0x030200"), ("0x10de", "0x22a3", "0x068000"))  # the second is an NVSwitch
    version = machine.recorded("nvidia-version-h100.txt")
    machine.files({"/dev/nvidia0": "", "/dev/nvidiactl": "", "/proc/driver/nvidia/version": version})
    machine.torch("2.11.0+cu130", cuda="'13.0'")
    machine.says("nvidia-smi", "nvidia-smi-h100.txt")

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("cuda", "1 × NVIDIA H100 80GB HBM3 (sm_90, 79.6 GiB)")
    assert [step.saw for step in found.steps] == [
        "1 × NVIDIA 0x2330",
        "nvidia 580.159.04",
        "/dev/nvidia0",
        "no card",
        "torch 2.11.0+cu130 for CUDA 13.0",
        "1 × NVIDIA H100 80GB HBM3 (sm_90, 79.6 GiB)",
    ]


def test_t4(machine: RecordedMachine) -> None:
    nvidia(machine, "Tesla T4, 15360, 7.5\nTesla T4, 15360, 7.5\n")

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("cuda", "2 × Tesla T4 (sm_75, 15.0 GiB)")


def test_memory_that_the_driver_does_not_tell_stays_unknown(machine: RecordedMachine) -> None:
    nvidia(machine, "NVIDIA GB10, [N/A], 12.1\n")

    assert detect(machine.system).machine.devices == (Device("NVIDIA GB10", "sm_121", None),)


def nvidia(machine: RecordedMachine, answer: str) -> None:
    machine.pci(("0x10de", "0x1eb8", "0x030200"))
    machine.files({"/dev/nvidia0": ""})
    machine.answers["nvidia-smi"] = CommandResult(answer)


def test_a_machine_without_cards_is_known_without_any_tool(machine: RecordedMachine) -> None:
    machine.pci(HYGON_BRIDGE, ("0x8086", "0x56c0", "0x030000"), ("0x1a03", "0x2000", "0x030000"))
    machine.torch("2.13.0+cpu")

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("cpu", "no accelerator found")
    assert [step.saw for step in found.steps] == [
        "no card of Hygon, NVIDIA or AMD",
        "none loaded",
        "none",
        "no card",
    ]
    assert machine.asked == []


def test_a_card_that_the_container_does_not_pass_on_is_said_aloud(machine: RecordedMachine) -> None:
    machine.pci(("0x10de", "0x2330", "0x030200"))

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("cpu", "a card of NVIDIA, but no file in /dev to reach it")


def test_a_cpu_build_of_torch_decides_for_the_cpu(machine: RecordedMachine) -> None:
    nvidia(machine, "Tesla T4, 15360, 7.5\n")
    machine.torch("2.13.0+cpu")

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("cpu", "no card can be used: torch 2.13.0+cpu for the CPU only")
    assert machine.asked == []


def test_a_build_of_torch_for_another_maker_decides_for_the_cpu(machine: RecordedMachine) -> None:
    machine.pci(("0x1002", "0x74a1", "0x120000"))
    machine.files({"/dev/kfd": ""})
    machine.torch("2.11.0+cu130", cuda="'13.0'")

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == (
        "cpu",
        "no card can be used: torch 2.11.0+cu130 for CUDA 13.0",
    )


def test_nvidia_is_taken_before_the_display_of_an_amd_processor(machine: RecordedMachine) -> None:
    machine.pci(("0x1002", "0x164e", "0x030000"), ("0x10de", "0x2684", "0x030000"))
    machine.files({"/dev/kfd": "", "/dev/nvidia0": ""})
    machine.answers["nvidia-smi"] = CommandResult("NVIDIA GeForce RTX 4090, 24564, 8.9\n")

    assert detect(machine.system).profile_name == "cuda"


def test_no_permission_is_named_and_does_not_change_the_choice(machine: RecordedMachine) -> None:
    machine.pci(("0x1d94", "0x6210", "0x038000"))
    machine.files({"/dev/kfd": "", "/opt/hyhal/bin/hy-smi": ""})
    machine.closed = {"/dev/kfd"}
    machine.answers["hy-smi"] = CommandResult(problem="exit status 1: Permission denied")

    found = detect(machine.system)

    assert found.profile_name == "k100-ai"
    assert found.reason == ("1 × K100_AI (gfx928); this user may not open /dev/kfd: join the groups video and render")
    assert [
        step.saw for step in found.steps if step.looked_at in ("hy-smi", "/dev/kfd, /dev/mkfd, /dev/nvidia*, /dev/dxg")
    ] == [
        "/dev/kfd (not allowed to open)",
        "exit status 1: Permission denied",
    ]


@pytest.mark.parametrize(
    ("answer", "saw"),
    [
        (CommandResult(problem="exit status 9: couldn't communicate with the NVIDIA driver"), None),
        (CommandResult(problem="no answer within 60 s"), None),
        (CommandResult(""), "an empty answer"),
        (CommandResult("No devices were found\n"), "an answer that names no card: 'No devices were found'"),
        (CommandResult("\x00\x01 \ufffd, , ,\n{"), None),
    ],
)
def test_a_broken_tool_leaves_the_choice_to_what_is_known(
    machine: RecordedMachine, answer: CommandResult, saw: str | None
) -> None:
    nvidia(machine, "")
    machine.answers["nvidia-smi"] = answer

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("cuda", "a card of NVIDIA, but no tool says which")
    assert found.steps[-1].looked_at == "nvidia-smi"
    if saw or answer.problem:
        assert found.steps[-1].saw == (saw or answer.problem)


@pytest.mark.parametrize("recorded", ["hy-smi-malformed.txt", "README.md", "nvidia-smi-h100.txt"])
def test_garbage_from_hy_smi_does_no_harm(machine: RecordedMachine, recorded: str) -> None:
    machine.pci(("0x1d94", "0x6320", "0x038000"))
    machine.files(DCU_FILES)
    machine.says("hy-smi", recorded)

    assert detect(machine.system).profile_name == "bw1000"


def test_an_unknown_hygon_card_is_said_aloud(machine: RecordedMachine) -> None:
    machine.pci(("0x1d94", "0x7777", "0x038000"))
    machine.files(DCU_FILES)

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("cpu", "a Hygon card that bcli does not know: 1 × 0x7777")


def test_torch_is_asked_last_and_only_for_the_architecture(machine: RecordedMachine) -> None:
    nvidia(machine, "")
    machine.answers["nvidia-smi"] = CommandResult(problem='exit status 2: Field "compute_cap" is not a valid field')
    machine.torch("2.3.0+cu121", cuda="'12.1'")
    machine.answers["torch"] = CommandResult('a warning\n[["Tesla V100-SXM2-32GB", "sm_70", 34079637504]]\n')

    found = detect(machine.system)

    assert found.machine.devices == (Device("Tesla V100-SXM2-32GB", "sm_70", 34079637504),)
    assert machine.asked == ["nvidia-smi", "torch"]


@pytest.mark.parametrize("answer", ["", "{}", "[[1]]", '[["a", "b"]]', "[3]", "null", '[["name", "sm_90", "much"]]'])
def test_garbage_from_torch_does_no_harm(machine: RecordedMachine, answer: str) -> None:
    nvidia(machine, "")
    machine.torch("2.3.0+cu121", cuda="'12.1'")
    machine.answers["torch"] = CommandResult(answer)

    assert detect(machine.system).profile_name == "cuda"


def test_torch_names_hidden_cards_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else what is visible would be picked twice, and card 1 of two be one too many."""
    (tmp_path / "torch.py").write_text(_TORCH_WITH_TWO_CARDS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")

    assert [device.name for device in torch_devices(System(), "nvidia").devices] == ["A", "B"]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("1", ["B"]),
        ("2,0", ["C", "A"]),
        (" 1 , 2 ", ["B", "C"]),
        ("0,7,1", ["A"]),
        ("0,-1,1", ["A"]),
        ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", ["A"]),
    ],
)
def test_only_visible_cards_count(machine: RecordedMachine, value: str, names: list[str]) -> None:
    nvidia(machine, "A, 15360, 7.5\nB, 15360, 7.5\nC, 15360, 7.5\n")
    machine.environment["CUDA_VISIBLE_DEVICES"] = value

    assert [device.name for device in detect(machine.system).machine.devices] == names


@pytest.mark.parametrize("value", ["", "-1", "nonsense", "9"])
def test_hidden_cards_leave_the_cpu(machine: RecordedMachine, value: str) -> None:
    nvidia(machine, "A, 15360, 7.5\n")
    machine.environment["CUDA_VISIBLE_DEVICES"] = value

    found = detect(machine.system)

    assert (found.profile_name, found.reason) == ("cpu", f"CUDA_VISIBLE_DEVICES={value} hides every card")
    assert found.machine.devices == ()


def test_hip_has_its_own_variable(machine: RecordedMachine) -> None:
    machine.pci(*[("0x1d94", "0x6210", "0x038000")] * 4)
    machine.files(DCU_FILES)
    machine.environment |= {"HIP_VISIBLE_DEVICES": "3", "CUDA_VISIBLE_DEVICES": "0,1"}

    assert detect(machine.system).reason == "1 × K100_AI (gfx928)"


def test_a_command_that_does_not_exist_fails_or_hangs_is_reported() -> None:
    assert run_command(["bcli-no-such-tool"]) == CommandResult(problem="not found")
    assert run_command(["sh", "-c", "echo seen; echo why >&2; exit 9"]) == CommandResult(
        "seen\n", "exit status 9: why"
    )
    assert run_command(["sleep", "5"], timeout=0.05) == CommandResult(problem="no answer within 0.05 s")
    assert run_command(["printf", r"\377"]) == CommandResult("\ufffd")
    assert run_command(["/"]).problem == "Permission denied"


def test_this_very_machine_can_be_looked_at() -> None:
    found = detect(System())

    assert found.profile_name
    assert found.machine.host_memory_bytes > GIB / 4
    assert found.machine.cpu_cores >= 1
