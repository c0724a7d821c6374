from __future__ import annotations

import json
import math
from typing import Any

import pytest

from baichuan_cli.batch.item import BatchItem
from baichuan_cli.batch.prompts import parse_line
from baichuan_cli.batch.records import (
    RecordHead,
    RunInfo,
    answer_record,
    encode,
    failure_record,
    is_cut_short,
    read_head,
)
from baichuan_cli.engine.request import Choice, Completion, Token
from baichuan_cli.errors import BcliError, ExitCode

LOGPROBS = (
    Token(5, "，", -0.5, top=((5, "，", -0.5), (6, "\ufffd", -math.inf))),
    Token(7, "疑是", math.nan),
)
CHOICES = (Choice(0, "，疑是", (5, 7), "length"), Choice(1, "，", (5,), "stop"))
USAGE = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


def item(**fields: object) -> BatchItem:
    parsed = parse_line(json.dumps(fields).encode(), 1)
    assert isinstance(parsed, BatchItem)
    return parsed


def written(item: BatchItem, run: RunInfo, *choices: Choice) -> dict[str, Any]:
    line = encode(answer_record(item, Completion("x", 3, choices, 0.0312504999, 0.2), run))
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    record: dict[str, Any] = json.loads(line)
    return record


def test_plain_answer(run_info: RunInfo) -> None:
    prompt = item(custom_id="a", prompt="床前明月光")
    assert written(prompt, run_info, *CHOICES) == {
        "schema": "bcli.answer/1",
        "custom_id": "a",
        "choices": [
            {"index": 0, "text": "，疑是", "finish_reason": "length"},
            {"index": 1, "text": "，", "finish_reason": "stop"},
        ],
        "usage": USAGE,
        "timing": {"first_token_seconds": 0.03125, "total_seconds": 0.2},
        "request": prompt.fingerprint,
        "settings": run_info.fingerprint,
    }


def test_plain_logprobs(run_info: RunInfo) -> None:
    record = written(item(prompt="x"), run_info, Choice(0, "，疑是", (5, 7), "stop", LOGPROBS))
    assert record["choices"][0]["logprobs"] == [
        {
            "token_id": 5,
            "text": "，",
            "logprob": -0.5,
            "top": [
                {"token_id": 5, "text": "，", "logprob": -0.5},
                {"token_id": 6, "text": "\ufffd", "logprob": -9999.0},
            ],
        },
        {"token_id": 7, "text": "疑是", "logprob": None, "top": []},
    ]


def test_openai_chat_answer(run_info: RunInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1800000000.5)
    chat = item(custom_id="a", url="/v1/chat/completions", body={"messages": [{"role": "user", "content": "你好"}]})
    record = written(chat, run_info, Choice(0, "，疑是", (5, 7), "stop", LOGPROBS), CHOICES[1])
    unique = record["id"].removeprefix("batch_req_")
    assert record == {
        "schema": "bcli.answer/1",
        "id": f"batch_req_{unique}",
        "custom_id": "a",
        "response": {
            "status_code": 200,
            "request_id": f"req_{unique}",
            "body": {
                "id": f"chatcmpl-{unique}",
                "object": "chat.completion",
                "created": 1800000000,
                "model": "demo",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": "，疑是"},
                        "logprobs": {
                            "content": [
                                {
                                    "token": "，",
                                    "logprob": -0.5,
                                    "bytes": [239, 188, 140],
                                    "top_logprobs": [
                                        {"token": "，", "logprob": -0.5, "bytes": [239, 188, 140]},
                                        {"token": "\ufffd", "logprob": -9999.0, "bytes": None},
                                    ],
                                },
                                {
                                    "token": "疑是",
                                    "logprob": None,
                                    "bytes": [231, 150, 145, 230, 152, 175],
                                    "top_logprobs": [],
                                },
                            ]
                        },
                        "finish_reason": "stop",
                    },
                    {
                        "index": 1,
                        "message": {"role": "assistant", "content": "，"},
                        "logprobs": None,
                        "finish_reason": "stop",
                    },
                ],
                "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6},
            },
        },
        "error": None,
        "timing": {"first_token_seconds": 0.03125, "total_seconds": 0.2},
        "request": chat.fingerprint,
        "settings": run_info.fingerprint,
    }
    other = item(custom_id="b", url="/v1/chat/completions", body={"messages": [{"role": "user", "content": "你好"}]})
    assert written(other, run_info, *CHOICES)["id"] != record["id"]


def test_openai_completion_answer(run_info: RunInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1800000000.5)
    prompt = item(custom_id="a", url="/v1/completions", body={"prompt": "床前明月光"})
    record = written(prompt, run_info, Choice(0, "，疑是", (5, 7), "stop", LOGPROBS), CHOICES[1])
    unique = record["id"].removeprefix("batch_req_")
    assert record["response"]["body"] == {
        "id": f"cmpl-{unique}",
        "object": "text_completion",
        "created": 1800000000,
        "model": "demo",
        "choices": [
            {
                "index": 0,
                "text": "，疑是",
                "logprobs": {
                    "tokens": ["，", "疑是"],
                    "token_logprobs": [-0.5, None],
                    "top_logprobs": [{"，": -0.5, "\ufffd": -9999.0}, {}],
                    "text_offset": [0, 1],
                },
                "finish_reason": "stop",
            },
            {"index": 1, "text": "，", "logprobs": None, "finish_reason": "stop"},
        ],
        "usage": USAGE,
    }


def test_failures(run_info: RunInfo) -> None:
    error = BcliError("The prompt has 30 tokens; the context holds 20.", hint="Shorten it.")
    failure = {"code": "usage", "message": "The prompt has 30 tokens; the context holds 20. Shorten it."}
    plain = item(prompt="x")
    assert failure_record(plain, error, run_info) == {
        "schema": "bcli.answer/1",
        "custom_id": "line-1",
        "error": failure,
        "request": plain.fingerprint,
        "settings": run_info.fingerprint,
    }
    openai = item(custom_id="a", url="/v1/completions", body={"prompt": "x"})
    record = failure_record(openai, BcliError("No.", exit_code=ExitCode.ENGINE), run_info)
    assert (record["response"], record["error"]) == (None, {"code": "engine", "message": "No."})


def test_what_a_resumed_run_reads(run_info: RunInfo) -> None:
    prompt = item(prompt="x", custom_id="\u2028")
    answer = encode(answer_record(prompt, Completion("x", 3, CHOICES, None, 0.2), run_info))
    failure = encode(failure_record(prompt, BcliError("No."), run_info))
    assert read_head(answer) == RecordHead("\u2028", prompt.fingerprint, run_info.fingerprint, failed=False)
    assert read_head(failure) == RecordHead("\u2028", prompt.fingerprint, run_info.fingerprint, failed=True)
    for length in range(len(answer) - 1):
        assert read_head(answer[:length]) is None
        assert is_cut_short(answer[:length])


@pytest.mark.parametrize(
    "line", [b"poem", b'{"prompt": "x"}', b'{"schema":"bcli.bench/1"', b'{"schema":"bcli.answer/2","custom_id":"a"}']
)
def test_lines_of_others(line: bytes) -> None:
    assert read_head(line + b"\n") is None
    assert is_cut_short(line) == line.startswith(b'{"schema":"bcli.answer/')


def test_settings_tell_runs_apart() -> None:
    runs = [RunInfo("demo", {"n": 1}), RunInfo("demo", {"n": 2}), RunInfo("demo-alibi", {"n": 1})]
    assert len({run.fingerprint for run in runs}) == 3
    assert RunInfo("demo", {"n": 1, "chat": True}).fingerprint == RunInfo("demo", {"chat": True, "n": 1}).fingerprint
