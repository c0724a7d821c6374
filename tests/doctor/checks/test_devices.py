"""Device files, the driver's userland, libraries and variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from baichuan_cli.doctor.surroundings import Owner
from baichuan_cli.doctor.verdict import Verdict
from doctor import patients

MISSING_LIBRARY = "ImportError: libgalaxyhip.so.5: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("in_container", "group", "fix"),
    [
        (True, patients.RENDER, "docker run --group-add 109 …"),
        (True, 993, "docker run --group-add 993 …"),  # the host's group, which has no name inside
        (False, patients.RENDER, "sudo usermod -aG video,render $USER, then log in again"),
        (False, patients.VIDEO, "sudo usermod -aG video $USER, then log in again"),
    ],
)
def test_a_user_outside_the_group(tmp_path: Path, in_container: bool, group: int, fix: str) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.closed = {"/dev/kfd"}
    patient.owners["/dev/kfd"] = Owner(group, 0o660)
    if not in_container:
        patient.remove("/.dockerenv")

    assert patient.verdicts()["device-files"] == Verdict(
        "device-files", "failure", "this user may not open /dev/kfd", fix
    )


def test_files_of_other_cards_do_not_matter(tmp_path: Path) -> None:
    patient = patients.h100(tmp_path)
    patient.machine.pci(("0x10de", "0x2330", "0x030200"), ("0x1002", "0x1638", "0x030000"))
    patient.machine.files({"/dev/dri/renderD128": ""})
    patient.machine.closed = {"/dev/dri/renderD128"}

    assert patient.verdicts()["device-files"] == Verdict("device-files", "ok", "/dev/nvidia0")


def test_windows_subsystem_for_linux(tmp_path: Path) -> None:
    patient = patients.h100(tmp_path)
    for path in ("/dev/nvidia0", "/proc/driver/nvidia/version"):
        patient.remove(path)
    patient.machine.files({"/dev/dxg": ""})
    for path in (patient.machine.root / "sys/bus/pci/devices").rglob("*"):
        if path.is_file():
            path.unlink()

    verdicts = patient.verdicts()

    assert verdicts["device-files"] == Verdict("device-files", "ok", "/dev/dxg")
    assert {verdict.status for verdict in verdicts.values()} == {"ok", "skipped"}


@pytest.mark.parametrize(
    ("make", "without", "says"),
    [
        (patients.k100_ai, ("/dev/dri/renderD128", "/dev/dri/renderD129"), "/dev/dri is missing"),
        (patients.mi300x, ("/dev/kfd", "/dev/dri/renderD128"), "/dev/kfd and /dev/dri are missing"),
        (patients.h100, ("/dev/nvidia0",), "/dev/nvidia0 is missing"),
    ],
)
def test_missing_files_outside_a_container(
    tmp_path: Path, make: Callable[[Path], patients.Patient], without: tuple[str, ...], says: str
) -> None:
    patient = make(tmp_path)
    (patient.machine.root / ".dockerenv").unlink(missing_ok=True)
    for path in without:
        patient.remove(path)

    assert patient.verdicts()["device-files"] == Verdict(
        "device-files", "failure", says, "Is the driver loaded? Its messages: sudo dmesg | tail"
    )


def test_hyhal_is_not_mounted(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    (patient.machine.root / "opt/hyhal").rename(tmp_path / "elsewhere")

    assert patient.verdicts()["hyhal"] == Verdict(
        "hyhal",
        "failure",
        "/opt/hyhal, the driver's libraries, is not in this container",
        "Mount it from the host: docker run -v /opt/hyhal:/opt/hyhal:ro …\n"
        "The whole command: bcli docker --profile k100-ai",
    )


def test_the_library_is_not_on_the_path(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.environment["LD_LIBRARY_PATH"] = "/usr/local/lib"
    patient.torch = None
    patient.imports.update(torch=MISSING_LIBRARY, vllm=MISSING_LIBRARY, transformers=MISSING_LIBRARY)

    verdicts = patient.verdicts()

    assert verdicts["library-path"] == Verdict(
        "library-path",
        "failure",
        "libgalaxyhip.so is in /opt/dtk/lib, where programs do not look",
        "In the shell that starts bcli: source /opt/dtk/env.sh",
    )
    assert verdicts["torch"] == Verdict(
        "torch",
        "failure",
        f"it cannot be imported: {MISSING_LIBRARY}",
        "On a DCU run: source /opt/dtk/env.sh, and mount /opt/hyhal into the container.",
    )
    assert verdicts["vllm"] == Verdict("vllm", "skipped", "0.5.0+das.opt4.dtk24043; not judged, for torch is broken")


def test_the_library_is_nowhere(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.remove("/opt/dtk/lib/libgalaxyhip.so.5")
    patient.torch = None
    patient.imports.update(torch=MISSING_LIBRARY)

    assert patient.verdicts()["library-path"] == Verdict(
        "library-path", "failure", "libgalaxyhip.so is not on this machine", "Use the vendor's image, or install DTK."
    )


def test_variables_that_contradict_each_other(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.environment["CUDA_VISIBLE_DEVICES"] = "1"

    assert patient.verdicts()["visible-devices"] == Verdict(
        "visible-devices",
        "failure",
        "HIP_VISIBLE_DEVICES=0,1 and CUDA_VISIBLE_DEVICES=1 contradict each other",
        "unset CUDA_VISIBLE_DEVICES; HIP_VISIBLE_DEVICES is enough",
    )


def test_variables_that_agree(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.environment["CUDA_VISIBLE_DEVICES"] = "0,1"

    assert patient.verdicts()["visible-devices"].status == "ok"


def test_a_variable_that_hides_every_card(tmp_path: Path) -> None:
    patient = patients.h100(tmp_path)
    patient.machine.environment["CUDA_VISIBLE_DEVICES"] = "7"

    verdicts = patient.verdicts()

    assert verdicts["visible-devices"] == Verdict(
        "visible-devices",
        "failure",
        "CUDA_VISIBLE_DEVICES=7: no such card",
        "Count from 0: export CUDA_VISIBLE_DEVICES=0",
    )
    assert verdicts["vllm"].status == "ok"  # it is not to blame


def test_a_z100l_needs_to_be_named(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.pci(*[("0x1d94", "0x55b7", "0x038000")] * 2)
    patient.machine.files({"/opt/dtk/bin/rocminfo": ""})
    patient.machine.answers.clear()
    del patient.machine.environment["HIP_VISIBLE_DEVICES"]

    verdicts = patient.verdicts()

    assert verdicts["profile"].says.startswith("z100l: 2 × Z100L (gfx906)")
    assert verdicts["visible-devices"] == Verdict(
        "visible-devices",
        "warning",
        "HIP_VISIBLE_DEVICES is not set, and the vendor says that this card needs it",
        "export HIP_VISIBLE_DEVICES=0",
    )


def test_a_variable_that_hides_what_the_card_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSA_OVERRIDE_GFX_VERSION", "9.0.6")

    assert patients.k100_ai(tmp_path).verdicts()["plan"] == Verdict(
        "plan",
        "warning",
        "HSA_OVERRIDE_GFX_VERSION=9.0.6 is set: it hides the card's real architecture",
        "unset HSA_OVERRIDE_GFX_VERSION",
    )
