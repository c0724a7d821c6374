from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baichuan_cli.batch.item import BadLine, BatchItem
from baichuan_cli.batch.prompts import parse_batch, parse_line, read_batch
from baichuan_cli.batch.schema import ChatBody, CompletionBody, Envelope
from baichuan_cli.errors import BcliError, ExitCode

# What is tested is never slow; the machine that tests may be.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

HELLO = {"role": "user", "content": "你好"}

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(sorted({*CompletionBody.model_fields, *ChatBody.model_fields, *Envelope.model_fields, "id"}))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def parse(line: object) -> BatchItem | BadLine:
    return parse_line(json.dumps(line).encode(), 12)


def test_plain_prompt() -> None:
    assert parse({"prompt": "床前明月光"}) == BatchItem(12, "line-12", "床前明月光", None, {}, None, None)


def test_plain_messages_with_sampling() -> None:
    line = {
        "id": 7,
        "messages": [
            {"role": "system", "content": ""},
            {"role": "user", "content": [{"type": "text", "text": "你好"}]},
        ],
        "max_completion_tokens": 20,
        "temperature": 0,
        "top_p": 0.9,
        "top_k": 0,
        "min_p": 0.1,
        "n": 2,
        "seed": 1,
        "stop": "。",
        "stop_token_ids": [2],
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "repetition_penalty": 1.1,
        "min_tokens": 1,
        "ignore_eos": False,
        "logprobs": True,
        "top_logprobs": 3,
        "user": "li",
        "metadata": {"row": 5},
        "tools": None,
    }
    sampling = {
        "max_tokens": 20,
        "temperature": 0,
        "top_p": 0.9,
        "top_k": -1,
        "min_p": 0.1,
        "n": 2,
        "seed": 1,
        "stop": ["。"],
        "stop_token_ids": [2],
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "repetition_penalty": 1.1,
        "min_tokens": 1,
        "ignore_eos": False,
        "logprobs": 3,
    }
    messages = ({"role": "system", "content": ""}, HELLO)
    assert parse(line) == BatchItem(12, "7", None, messages, sampling, None, None)


def test_openai_lines() -> None:
    chat = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"messages": [HELLO], "model": "m"},
    }
    text = {"custom_id": "b", "url": "/v1/completions", "body": {"prompt": ["春眠"], "logprobs": 2}}
    ids = {"url": "/v1/completions", "body": {"prompt": [195, 5]}}
    assert parse(chat) == BatchItem(12, "a", None, (HELLO,), {}, "/v1/chat/completions", "m")
    assert parse(text) == BatchItem(12, "b", "春眠", None, {"logprobs": 2}, "/v1/completions", None)
    assert parse(ids) == BatchItem(12, "line-12", (195, 5), None, {}, "/v1/completions", None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ([], "not a JSON object"),
        ({"text": "x"}, "neither prompt nor messages is given"),
        ({"prompt": "x", "messages": [HELLO]}, "give prompt or messages, not both"),
        ({"prompt": "x", "id": 1, "custom_id": "1"}, "give custom_id or id, not both"),
        ({"prompt": "x", "id": ""}, "custom_id must be text that is not empty, or a whole number"),
        ({"prompt": "x", "id": True}, "custom_id must be text that is not empty, or a whole number"),
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": []}, "the prompt is empty"),
        ({"prompt": [""]}, "the prompt is empty"),
        ({"prompt": 5}, "prompt must be text or a list of token ids"),
        ({"prompt": ["a", "b"]}, "prompt is a list of several prompts; give each one a line of its own"),
        ({"prompt": [[1], [2]]}, "prompt is a list of several prompts; give each one a line of its own"),
        ({"prompt": [1, -1]}, "prompt must be text or a list of token ids, which are whole numbers from 0 up"),
        ({"prompt": "x", "max_token": 5}, "max_token is not supported; did you mean max_tokens?"),
        ({"prompt": "x", "tools": [1]}, "tools is not supported"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens must be greater than or equal to 1, but is 0"),
        ({"prompt": "x", "max_tokens": 1.5}, "max_tokens must be a valid integer, but is 1.5"),
        (
            {"prompt": "x", "max_tokens": 2**64},
            "max_tokens must be less than or equal to 2147483647, but is 18446744073709551616",
        ),
        (
            {"prompt": "x", "stop_token_ids": [2**31]},
            "stop_token_ids[0] must be less than or equal to 2147483647, but is 2147483648",
        ),
        ({"prompt": "x", "temperature": 2.5}, "temperature must be less than or equal to 2, but is 2.5"),
        ({"prompt": "x", "temperature": "hot"}, 'temperature must be a valid number, but is "hot"'),
        ({"prompt": "x", "stop": ["。", ""]}, 'stop[1] must have at least 1 character, but is ""'),
        ({"prompt": "x", "stop": {"a": "b" * 99}}, 'stop must be a valid list, but is {"a": "' + "b" * 52 + "…"),
        ({"prompt": "x", "stream": True}, "stream must be false, but is true"),
        ({"prompt": "x", "metadata": 1}, "metadata must be an object, but is 1"),
        (
            {"prompt": "x", "max_tokens": 1, "max_completion_tokens": 2},
            "max_tokens and max_completion_tokens differ; give one of them",
        ),
        ({"prompt": "x", "top_logprobs": 1}, "top_logprobs needs logprobs: true"),
        ({"messages": []}, "messages is empty"),
        ({"messages": "hi"}, 'messages must be a valid list, but is "hi"'),
        ({"messages": ["hi"]}, 'messages[0] must be an object, but is "hi"'),
        ({"messages": [{"role": "user"}]}, "messages[0].content is missing"),
        ({"messages": [{"role": "user", "content": ""}]}, "the last message is empty"),
        ({"messages": [HELLO, {"role": "system", "content": "x"}]}, "only the first message may have the role system"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "the last message must have the role user"),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            'messages[0].role must be "system", "user" or "assistant", but is "tool"',
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "the content of a message may hold text only",
        ),
        ({"method": "GET", "url": "/v1/completions", "body": {}}, 'method must be "POST", but is "GET"'),
        (
            {"url": "/v1/embeddings", "body": {}},
            'url must be "/v1/chat/completions" or "/v1/completions", but is "/v1/embeddings"',
        ),
        ({"url": "/v1/completions"}, "body is missing"),
        ({"url": "/v1/completions", "body": {"messages": [HELLO]}}, "body.prompt is missing"),
        ({"url": "/v1/completions", "body": {"prompt": "x", "best_of": 2}}, "body.best_of is not supported"),
    ],
)
def test_reasons(line: object, reason: str) -> None:
    assert parse(line) == BadLine(12, reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"prompt": "\xff"}', "not valid UTF-8 at byte 13"),
        (b'{"prompt": "x"', "not valid JSON: EOF while parsing an object at column 14"),
        (b'{"prompt": "x", "temperature": NaN}', "not valid JSON: expected value at column 32"),
        (b'{"prompt": "\\ud800"}', "not valid JSON: unexpected end of hex escape at column 19"),
        (b"[" * 9999, "not valid JSON: recursion limit exceeded at column 201"),
    ],
)
def test_broken_lines(data: bytes, reason: str) -> None:
    bad = parse_line(data, 3)
    assert isinstance(bad, BadLine)
    # The wording after the colon and the column are the parser's own and move with its releases.
    assert (bad.line, bad.reason.partition(":")[0]) == (3, reason.partition(":")[0])


@UNHURRIED
@given(st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_give_an_item_or_a_reason(data: bytes) -> None:
    assert isinstance(parse_line(data, 1), (BatchItem, BadLine))


@UNHURRIED
@given(st.dictionaries(FIELDS, JSON_VALUES | st.dictionaries(FIELDS, JSON_VALUES)))
def test_any_known_field_with_any_value_gives_an_item_or_a_reason(fields: dict[str, object]) -> None:
    parsed = parse(fields)
    assert isinstance(parsed, (BatchItem, BadLine))
    assert not isinstance(parsed, BadLine) or "\n" not in parsed.reason


@UNHURRIED
@given(TEXTS, TEXTS, st.floats(0, 2), st.integers(1, 4096))
def test_what_is_written_is_what_is_read(custom_id: str, prompt: str, temperature: float, max_tokens: int) -> None:
    fields = {"custom_id": custom_id, "prompt": prompt, "temperature": temperature, "max_tokens": max_tokens}
    sampling = {"temperature": temperature, "max_tokens": max_tokens}
    assert parse(fields) == BatchItem(12, custom_id, prompt, None, sampling, None, None)


def test_the_fingerprint_is_that_of_the_meaning() -> None:
    def fingerprint(**fields: object) -> str:
        item = parse(fields)
        assert isinstance(item, BatchItem)
        return item.fingerprint

    same = fingerprint(prompt="x", stop="a", max_tokens=5, user="li")
    assert fingerprint(custom_id="b", max_completion_tokens=5, stop=["a"], prompt=["x"], model="m") == same
    others = [
        fingerprint(prompt="y", stop="a", max_tokens=5),
        fingerprint(prompt="x", stop="a", max_tokens=6),
        fingerprint(prompt="x", stop="a"),
        fingerprint(url="/v1/completions", body={"prompt": "x", "stop": "a", "max_tokens": 5}),
        fingerprint(messages=[{"role": "user", "content": "x"}], stop="a", max_tokens=5),
    ]
    assert len({same, *others}) == 6


def test_a_file_from_windows(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n{"prompt": "b"}\r\n  \n{"prompt": "c"}')
    batch = read_batch(path)
    assert [(item.custom_id, item.prompt) for item in batch.items] == [
        ("line-1", "a"),
        ("line-3", "b"),
        ("line-5", "c"),
    ]
    assert batch.bad_lines == ()


def test_bad_lines_do_not_stop_the_others() -> None:
    batch = parse_batch(
        [
            b'{"custom_id": "a", "prompt": "x"}\n',
            b"nonsense\n",
            b'{"custom_id": "a", "prompt": "y"}\n',
            b'{"custom_id": "line-5", "prompt": "z"}\n',
            b'{"prompt": "w"}\n',
        ]
    )
    assert [item.custom_id for item in batch.items] == ["a", "line-5"]
    assert [(bad.line, bad.reason) for bad in batch.bad_lines if bad.line != 2] == [
        (3, 'custom_id "a" is taken by line 1'),
        (5, 'custom_id "line-5" is taken by line 4'),
    ]
    assert [bad.line for bad in batch.bad_lines] == [2, 3, 5]


def test_files_that_hold_no_batch(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"\n \n")
    utf16 = tmp_path / "utf16.jsonl"
    utf16.write_text('{"prompt": "a"}\n', "utf-16")
    cases = {
        tmp_path / "none.jsonl": (f"The input file {tmp_path / 'none.jsonl'} does not exist.", ExitCode.NOT_FOUND),
        tmp_path: (f"The input {tmp_path} is a folder.", ExitCode.USAGE),
        empty: (f"The input file {empty} is empty.", ExitCode.USAGE),
        utf16: (f"{utf16} is in UTF-16.", ExitCode.USAGE),
        Path("/proc/self/mem"): ("Cannot read the input file /proc/self/mem: Input/output error.", ExitCode.USAGE),
    }
    for path, (message, code) in cases.items():
        with pytest.raises(BcliError) as raised:
            read_batch(path)
        assert (raised.value.message, raised.value.exit_code) == (message, code)
