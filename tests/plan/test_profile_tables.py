"""The pages under docs/profiles: up to date, and with what a person with such a card must find there."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
DOCS = Path(__file__).parents[2] / "docs" / "profiles"
PROFILES = ("k100", "z100l", "k100-ai", "bw1000", "rocm", "cuda", "cpu")

Row = Mapping[str, str]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS))
        return importlib.import_module("write_profile_tables")


@pytest.fixture(scope="module")
def written(tool: ModuleType) -> dict[str, str]:
    """Return the pages as the tool writes them now, by profile."""
    return {path.stem: text for path, text in tool.render().items()}


@pytest.mark.parametrize("profile", PROFILES)
def test_each_page_is_what_is_planned_now(profile: str, written: dict[str, str]) -> None:
    assert (DOCS / f"{profile}.md").read_text(encoding="utf-8") == written[profile]


def test_there_is_a_page_for_every_profile(written: dict[str, str]) -> None:
    assert sorted(written) == sorted(PROFILES) == sorted(path.stem for path in DOCS.glob("*.md"))


def test_a_page_that_no_longer_matches_is_named(
    tool: ModuleType,
    written: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pages = {tmp_path / f"{profile}.md": text for profile, text in written.items()}
    monkeypatch.setattr(tool, "render", lambda: pages)
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    (tmp_path / "k100.md").write_text(written["k100"].replace("float16", "bfloat16"), encoding="utf-8")
    (tmp_path / "cpu.md").unlink()
    assert tool.main(["--check"]) == 1
    assert "k100.md, cpu.md no longer match the plans." in capsys.readouterr().err


def rows(profile: str, section: str) -> list[Row]:
    """Return the rows of the tables under headings that begin with a text, by their column's name."""
    found: list[Row] = []
    head: list[str] = []
    wanted = False
    for line in (DOCS / f"{profile}.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            wanted, head = line.lstrip("# ").startswith(section), []
        elif wanted and line.startswith("| ---"):
            continue
        elif wanted and line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if head:
                found.append(dict(zip(head, cells, strict=True)))
            else:
                head = cells
    return found


def verdict(profile: str, machine: str, model: str, release: str) -> str:
    [row] = [row for row in rows(profile, machine) if model in row["model"].split(", ")]
    return next(cell for column, cell in row.items() if column.startswith(release))


def said(profile: str, number: str) -> str:
    return next(row["text"] for row in rows(profile, "What bcli says") if row[""] == number)


def values(profile: str, setting: str) -> set[tuple[str, str, str]]:
    return {
        (row["value"], row["models"], row["releases"])
        for row in rows(profile, "Settings")
        if row["setting"] == setting
    }


def answer(profile: str, model: str, release: str, asked: str) -> str:
    [row] = [
        row
        for row in rows(profile, "What becomes of wishes")
        if (row["model"], row["vLLM"], row["asked for"]) == (model, release, asked)
    ]
    return row["answer"]


@pytest.mark.parametrize(("profile", "machine"), [("k100", "One K100"), ("z100l", "One Z100L")])
def test_awq_is_refused_on_k100_and_z100l(profile: str, machine: str) -> None:
    refused, number, *_ = verdict(profile, machine, "baichuan2-7b-chat as AWQ", "0.5.0").split()
    assert refused == "**refused**"
    assert "awq does not run on " + profile in said(profile, number)


@pytest.mark.parametrize(
    ("profile", "releases"),
    [
        ("k100", "all"),
        ("z100l", "all"),
        ("k100-ai", "0.5.0+das.opt4.dtk24043 to 0.7.2"),
        ("rocm", "0.5.0 to 0.7.3"),
    ],
)
def test_gptq_is_named_outright_on_old_rocm(profile: str, releases: str) -> None:
    named = [row for row in rows(profile, "Settings") if row["from"] == "rule gptq_on_rocm"]
    assert (named[0]["value"], named[0]["models"], named[0]["releases"]) == ("gptq", "GPTQ", releases)


def test_float16_is_forced_where_the_card_or_the_release_has_no_bfloat16() -> None:
    for profile in ("k100", "z100l"):
        assert {value for value, _, _ in values(profile, "dtype")} == {"float16"}
    old = {
        row["value"] for row in rows("k100-ai", "Settings") if row["setting"] == "dtype" and "0.5.0" in row["releases"]
    }
    assert old == {"float16"}
    assert "**refusal**" in answer("k100-ai", "baichuan2-7b-chat", "0.5.0+das.opt4.dtk24043", "`dtype bfloat16`")


@pytest.mark.parametrize("profile", PROFILES)
def test_13b_gptq_with_groups_of_128_stays_on_one_card(profile: str) -> None:
    memory = {row["model"]: row["splits over"] for row in rows(profile, "Memory")}
    assert memory["baichuan2-13b-chat-gptq"] == "1 only"
    assert memory["baichuan2-13b-chat-gptq-4bit-32g"] == "1, 2, 4"
    asked = [
        row["answer"] for row in rows(profile, "What becomes of wishes") if row["model"] == "baichuan2-13b-chat-gptq"
    ]
    assert ["13696 = 107 × 128, so only 1 works" in each for each in asked] == [True]


def test_baichuan2_13b_on_z100l_with_its_arithmetic() -> None:
    assert verdict("z100l", "Eight Z100L", "baichuan2-13b-chat", "0.5.0").startswith("float16, 2 cards")
    [row] = [row for row in rows("z100l", "Settings") if row["models"].startswith("baichuan2-13b-base")]
    assert (row["setting"], row["value"]) == ("tensor_parallel_size", "2")
    assert row["because"] == (
        "weights 25.9 GiB + KV 3.1 GiB + 1.5 GiB > 0.90 × 32 GiB on one card; --max-model-len 1792 would fit"
    )
    _, number, *_ = verdict("z100l", "One Z100L", "baichuan2-13b-chat", "0.5.0").split()
    assert "Use --max-model-len 1792 or a quantized checkpoint" in said("z100l", number)
    shorter = answer("z100l", "baichuan2-13b-chat", "0.5.0", "`max_model_len 1792`")
    assert shorter.startswith("runs with<br>`tensor_parallel_size=1`")


def test_alibi_on_rocm_0_5_0_is_refused_or_warned_of() -> None:
    refused, number, *_ = verdict("rocm", "Eight MI300X", "baichuan2-13b-chat", "0.5.0").split()
    assert refused == "**refused**"
    assert "ignores ALiBi in prefill" in said("rocm", number)
    assert "--force" not in said("rocm", number)
    for profile, machine in (("k100", "One K100"), ("z100l", "Eight Z100L"), ("k100-ai", "Eight K100_AI")):
        numbers = verdict(profile, machine, "baichuan2-13b-chat", "0.5.0").split()
        [warning] = [text for each in numbers if each[0] == "W" and "ALiBi" in (text := said(profile, each))]
        assert "may be ignored in prefill" in warning
        assert warning.endswith("bcli doctor --engine")


def test_eager_at_first_and_graphs_later() -> None:
    assert values("k100", "enforce_eager") == {("true", "all", "all")}
    assert values("k100-ai", "enforce_eager") == {
        ("true", "all", "0.5.0+das.opt4.dtk24043 to 0.7.2"),
        ("false", "all", "0.8.5 to 0.28.1"),
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_no_plan_touches_the_list_of_plugins(profile: str) -> None:
    assert values(profile, "VLLM_PLUGINS") == set()


def test_a_list_that_turns_the_vendors_plugins_off_is_told() -> None:
    alone = answer("k100-ai", "baichuan2-7b-chat", "0.25.1", "`VLLM_PLUGINS=baichuan` exported")
    assert "without the vendor's own plugins turns them off" in alone
    both = answer("k100-ai", "baichuan2-7b-chat", "0.25.1", "`VLLM_PLUGINS=hcu,hcu_model,hcu_ops,baichuan` exported")
    assert both.startswith("runs with")
