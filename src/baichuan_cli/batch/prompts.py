"""Read a batch input: JSON Lines, checked as a whole before any model is loaded.

A line is plain, `{"prompt": "床前明月光", "max_tokens": 20}` or `{"messages": [{"role": "user", "content": "你好"}]}`,
or in OpenAI's batch format, `{"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {…}}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import from_json

from baichuan_cli.batch.item import BadLine, Batch, BatchItem, Endpoint
from baichuan_cli.batch.schema import ChatBody, CompletionBody, Envelope, explain
from baichuan_cli.errors import BcliError, ExitCode

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_ENVELOPE_FIELDS = {"method", "url", "body"}


class _LineError(Exception):
    """Why a line cannot be answered."""


def parse_line(data: bytes, number: int) -> BatchItem | BadLine:
    """Read one line, which is not blank; any bytes at all give an item or the reason why not."""
    try:
        return _item(_json_object(data), number)
    except _LineError as error:
        return BadLine(number, str(error))


def parse_batch(lines: Iterable[bytes]) -> Batch:
    """Read lines as a file gives them, blank ones skipped; of two lines with one custom_id the later one is bad."""
    items: list[BatchItem] = []
    bad_lines: list[BadLine] = []
    line_of: dict[str, int] = {}
    for number, data in enumerate(lines, start=1):
        if number == 1:
            data = data.removeprefix(_UTF8_BOM)
        if not data.strip():
            continue
        parsed = parse_line(data, number)
        if isinstance(parsed, BadLine):
            bad_lines.append(parsed)
        elif parsed.custom_id in line_of:
            shown = json.dumps(parsed.custom_id, ensure_ascii=False)
            bad_lines.append(BadLine(number, f"custom_id {shown} is taken by line {line_of[parsed.custom_id]}"))
        else:
            line_of[parsed.custom_id] = number
            items.append(parsed)
    return Batch(tuple(items), tuple(bad_lines))


def read_batch(path: Path) -> Batch:
    """Read a whole file, one line in memory at a time besides the prompts themselves.

    Raises:
        BcliError: the file is missing, is a folder, cannot be read, is in UTF-16, or holds no line.
    """
    try:
        with path.open("rb") as file:
            if file.peek(2)[:2] in _UTF16_BOMS:
                raise BcliError(f"{path} is in UTF-16.", hint="Save it as UTF-8 and run the command again.")
            batch = parse_batch(file)
    except FileNotFoundError:
        raise BcliError(f"The input file {path} does not exist.", exit_code=ExitCode.NOT_FOUND) from None
    except IsADirectoryError:
        raise BcliError(f"The input {path} is a folder.", hint="Name one JSONL file.") from None
    except OSError as error:
        raise BcliError(f"Cannot read the input file {path}: {error.strerror}.") from error
    if not batch.items and not batch.bad_lines:
        raise BcliError(f"The input file {path} is empty.", hint='Give one {"prompt": "…"} a line.')
    return batch


def _json_object(data: bytes) -> dict[str, object]:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise _LineError(f"not valid UTF-8 at byte {error.start + 1}") from None
    try:
        value = from_json(data.rstrip(), allow_inf_nan=False)
    except ValueError as error:
        raise _LineError(f"not valid JSON: {str(error).replace(' at line 1 column', ' at column')}") from None
    if not isinstance(value, dict):
        raise _LineError("not a JSON object")
    return {name: field for name, field in value.items() if field is not None}


def _item(fields: dict[str, object], number: int) -> BatchItem:
    if _ENVELOPE_FIELDS & fields.keys():
        try:
            envelope = Envelope.model_validate(fields)
        except ValidationError as error:
            raise _LineError(explain(error, Envelope.model_fields)) from None
        chat = envelope.url == "/v1/chat/completions"
        return _with_body(number, envelope.custom_id, envelope.url, chat, envelope.body, "body.")
    if {"custom_id", "id"} <= fields.keys():
        raise _LineError("give custom_id or id, not both")
    custom_id = fields.pop("custom_id", fields.pop("id", None))
    if {"prompt", "messages"} <= fields.keys():
        raise _LineError("give prompt or messages, not both")
    if not {"prompt", "messages"} & fields.keys():
        raise _LineError("neither prompt nor messages is given")
    return _with_body(number, custom_id, None, "messages" in fields, fields, "")


def _with_body(
    number: int, custom_id: object, endpoint: Endpoint | None, chat: bool, fields: dict[str, object], prefix: str
) -> BatchItem:
    name = f"line-{number}" if custom_id is None else _checked_id(custom_id)
    kind = ChatBody if chat else CompletionBody
    try:
        body = kind.model_validate(fields)
    except ValidationError as error:
        raise _LineError(explain(error, kind.model_fields, prefix)) from None
    return BatchItem(
        line=number,
        custom_id=name,
        prompt=body.prompt if isinstance(body, CompletionBody) else None,
        messages=body.turns() if isinstance(body, ChatBody) else None,
        sampling=body.sampling(),
        endpoint=endpoint,
        model=body.model,
    )


def _checked_id(custom_id: object) -> str:
    """Return an id as text: data sets often count their rows, so a whole number will do."""
    if isinstance(custom_id, str) and custom_id:
        return custom_id
    if type(custom_id) is int:
        return str(custom_id)
    raise _LineError("custom_id must be text that is not empty, or a whole number")
