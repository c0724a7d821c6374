"""What a person reads about a plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baichuan_cli.errors import ExitCode
from baichuan_cli.plan.explain import COLUMNS, as_json, explain, finding_lines, refusal
from baichuan_cli.plan.model import Plan
from plan.planning import plan

TABLES = Path(__file__).with_name("tables")


def table(made: Plan) -> str:
    """Return the table in columns, as a terminal of any width would show it."""
    rows = [COLUMNS, *explain(made)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ("  ".join((*map(str.ljust, row[:3], widths), row[3])).rstrip() for row in rows)
    return "\n".join((*lines, *finding_lines(made))) + "\n"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("baichuan2-13b-chat on z100l", plan("baichuan2-13b-chat", "z100l", "0.5.0")),
        ("demo on cpu", plan("demo", "cpu", "0.32.0")),
    ],
)
def test_the_whole_table(name: str, made: Plan) -> None:
    assert table(made) == (TABLES / f"{name}.txt").read_text(encoding="utf-8")


def test_a_refusal_as_an_error() -> None:
    error = refusal(plan("baichuan2-13b-chat-gptq", "k100-ai", "0.5.0", tensor_parallel_size=2))
    assert error is not None
    assert (error.message, error.hint, error.exit_code) == (
        "tensor_parallel_size 2 cannot split this checkpoint.\n"
        "  13696 (intermediate_size) ÷ 2 = 6848 is no multiple of the GPTQ group size 128;"
        " 13696 = 107 × 128, so only 1 works.",
        "Use --tensor-parallel-size 1 (9.1 GB fits the card's 64 GiB).\nOr try all the same with --force.",
        ExitCode.REFUSED,
    )


def test_force_is_not_offered_where_it_does_not_help() -> None:
    error = refusal(plan("demo", max_model_len=4096))
    assert error is not None and error.hint == "Use --max-model-len 1024 or less."


def test_no_refusal_no_error() -> None:
    assert refusal(plan()) is None


def test_json_has_everything() -> None:
    made = plan("demo-alibi", max_model_len=2048)
    data = json.loads(json.dumps(as_json(made), ensure_ascii=False))
    assert {key: data[key] for key in ("schema", "model", "profile", "vllm")} == {
        "schema": "bcli.plan/1",
        "model": "demo-alibi",
        "profile": "cpu",
        "vllm": "0.32.0",
    }
    assert list(data["settings"]) == list(made.settings)
    assert data["settings"]["max_model_len"] == {"value": 2048, "from": "--max-model-len", "because": ""}
    assert data["environment"]["VLLM_CPU_KVCACHE_SPACE"]["value"] == 1
    assert data["sampling"]["stop_token_ids"]["value"] == [2, 195, 196]
    assert data["findings"] == [
        {
            "severity": "warning",
            "rule": "context_length",
            "message": "max_model_len 2048: demo-alibi was trained on 1024 tokens, and gets worse beyond",
            "hint": "",
            "forceable": False,
        }
    ]


@pytest.mark.parametrize("purpose", ["offline", "server"])
def test_refusals_come_before_warnings(purpose: str) -> None:
    lines = finding_lines(plan("demo-alibi", "k100", "0.5.0", purpose=purpose, dtype="bfloat16"))
    severities = [line.split()[0] for line in lines]
    assert severities == sorted(severities)
    assert severities[0] == "refusal"
