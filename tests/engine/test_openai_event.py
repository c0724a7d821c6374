"""Events are read the same whether they are parsed or only compared with an earlier one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.engine.openai_event import Event, EventReader
from baichuan_cli.engine.server_error import ServerError
from baichuan_cli.engine.stream import Usage

# Among the texts are keys, values and the reader's own probe: a text may be mistaken for another string.
WORDS = st.sampled_from(["text", "content", "choices", "demo", "length", "?", "", "月", '"', "\\", "\n", "\u2028"])
TEXTS = st.lists(WORDS | st.text(), max_size=12)


def _event(text: str, chat: bool, more: dict[str, Any]) -> dict[str, Any]:
    part = {"delta": {"content": text}} if chat else {"text": text}
    return {"id": "cmpl-1", "model": "demo", "choices": [{"index": 0, **part, "finish_reason": None, **more}]}


@given(TEXTS, st.booleans(), st.booleans(), st.sampled_from([{}, {"logprobs": None}, {"tokens": "text"}]))
def test_texts_come_as_they_were_sent(texts: list[str], chat: bool, ascii_only: bool, more: dict[str, Any]) -> None:
    reader = EventReader()
    for text in texts:
        data = json.dumps(_event(text, chat, more), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        try:
            assert json.loads(data)  # bytes that are no UTF-8 are no JSON
        except UnicodeDecodeError:
            with pytest.raises(ServerError):
                reader.read(data)
        else:
            assert reader.read(data) == Event(text, None, None)


@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from([None, "stop", "length"]), st.integers(0, 2))))
def test_what_differs_in_more_than_the_text_is_parsed(events: list[tuple[str, str | None, int]]) -> None:
    reader = EventReader()
    for text, reason, tokens in events:
        content = _event(text, False, {"finish_reason": reason})
        if tokens:
            content["usage"] = {"prompt_tokens": 3, "completion_tokens": tokens, "prompt_tokens_details": None}
        usage = Usage(3, tokens, None) if tokens else None
        assert reader.read(json.dumps(content).encode()) == Event(text, reason, usage)


def test_a_bare_control_character_is_no_json() -> None:
    reader = EventReader()
    before, after = json.dumps(_event("月", False, {}), ensure_ascii=False).split("月")
    assert reader.read(f"{before}月{after}".encode()).text == "月"
    with pytest.raises(ServerError):
        reader.read(f"{before}\x01{after}".encode())


@pytest.mark.parametrize(
    ("content", "event"),
    [
        ({"choices": [{"delta": {"role": "assistant", "content": ""}}]}, Event(None, None, None)),
        ({"choices": [{"delta": {"role": "assistant", "content": "月"}}]}, Event("月", None, None)),
        ({"choices": [{"delta": {}, "finish_reason": "stop"}]}, Event(None, "stop", None)),
        ({"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]}, Event("", "stop", None)),
        ({"choices": [{"text": "", "finish_reason": "stop"}]}, Event("", "stop", None)),
        (
            {
                "choices": [],
                "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}},
            },
            Event(None, None, Usage(9, 2, 8)),
        ),
        ({"choices": [{"text": "月"}], "usage": {"prompt_tokens": 9}}, Event("月", None, Usage(9, 0, None))),
        ({"choices": []}, Event(None, None, None)),
    ],
)
def test_one_event(content: dict[str, Any], event: Event) -> None:
    assert EventReader().read(json.dumps(content).encode()) == event


@pytest.mark.parametrize(
    "data", ["", "7", "[]", '{"choices": 7}', '{"choices": [{}]}', '{"choices": [7]}', '{"usage": 7}']
)
def test_no_event(data: str) -> None:
    with pytest.raises(ServerError) as caught:
        EventReader().read(data.encode())
    assert caught.value.message == f"The server sent an event that makes no sense: {data}"
