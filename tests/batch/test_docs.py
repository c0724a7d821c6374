"""The examples of docs/batch.md are what bcli reads and writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from baichuan_cli.batch.item import BatchItem
from baichuan_cli.batch.prompts import parse_line
from baichuan_cli.batch.records import RunInfo, answer_record, encode, read_head
from baichuan_cli.engine.request import Choice, Completion

DOCUMENT = Path(__file__).parents[2] / "docs" / "batch.md"


def shape(value: object) -> object:
    """Return the keys of a record in their order, without the values."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value).__name__


def test_examples() -> None:
    blocks = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    lines = [line.encode() for block in blocks for line in block.splitlines()]
    inputs = {
        item.endpoint: item for item in (parse_line(line, 1) for line in lines[:3]) if isinstance(item, BatchItem)
    }
    assert list(inputs) == [None, "/v1/chat/completions"]
    for line, item in zip(lines[3:], inputs.values(), strict=True):
        assert read_head(line) is not None
        completion = Completion("x", 1, (Choice(0, "x", (1,), "stop"),), None, 0.5)
        made = encode(answer_record(item, completion, RunInfo("demo", {})))
        assert shape(json.loads(made)) == shape(json.loads(line))
