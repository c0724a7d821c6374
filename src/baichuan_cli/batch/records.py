"""The lines of an answer file: made from what the engine gave back, and recognised when the file is read again.

Every line starts with the schema, so that even a line cut short shows whose it is, and carries two digests: of the
request, and of the settings that all requests of the run share. A resumed run compares both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic_core import from_json

from baichuan_cli.batch.item import BatchItem, digest
from baichuan_cli.batch.openai import chat_body, completion_body, logprob
from baichuan_cli.engine.request import Choice, Completion
from baichuan_cli.errors import BcliError

SCHEMA = "bcli.answer/1"
_LINE_START = b'{"schema":"bcli.answer/'

Record = Mapping[str, object]


@dataclass(frozen=True)
class RunInfo:
    """What all answers of one run have in common.

    Attributes:
        model: the name of the model that answers, for the records of OpenAI's format.
        settings: everything outside the input that decides the answers, as JSON values: the model's path, the sampling
            defaults, the chat layout. Answers under other settings are never mixed into one file.
    """

    model: str
    settings: Mapping[str, object]

    @cached_property
    def fingerprint(self) -> str:
        """Return a digest of the model and the settings."""
        return digest([self.model, dict(self.settings)])


@dataclass(frozen=True, slots=True)
class RecordHead:
    """What a resumed run needs to know of a line that was written before."""

    custom_id: str
    request: str
    settings: str
    failed: bool


def answer_record(item: BatchItem, completion: Completion, run: RunInfo) -> Record:
    """Return the record of an answered item, in the format of its input line."""
    usage = {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "total_tokens": completion.prompt_tokens + completion.completion_tokens,
    }
    answer: dict[str, object]
    if item.endpoint is None:
        answer = {"choices": [_plain_choice(choice) for choice in completion.choices], "usage": usage}
    else:
        body = chat_body if item.endpoint == "/v1/chat/completions" else completion_body
        unique = digest([item.custom_id, item.fingerprint, run.fingerprint])
        about = {"created": int(time.time()), "model": run.model}
        content = body(unique, about, completion.choices, usage)
        answer = {
            "response": {"status_code": 200, "request_id": f"req_{unique}", "body": content},
            "error": None,
        }
    timing = {"total_seconds": round(completion.total_seconds, 6)}
    if completion.first_token_seconds is not None:
        timing["first_token_seconds"] = round(completion.first_token_seconds, 6)
    return _record(item, run, {**answer, "timing": timing})


def failure_record(item: BatchItem, error: BcliError, run: RunInfo) -> Record:
    """Return the record of an item that cannot be answered."""
    message = f"{error.message} {error.hint}".rstrip()
    failure: dict[str, object] = {"error": {"code": error.exit_code.name.lower(), "message": message}}
    if item.endpoint is not None:
        failure = {"response": None, **failure}
    return _record(item, run, failure)


def encode(record: Record) -> bytes:
    """Return a record as one line, its newline included."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_head(line: bytes) -> RecordHead | None:
    """Read a whole line of an answer file; None when it is no record of this schema."""
    if not line.startswith(_LINE_START):
        return None
    try:
        record = from_json(line)
    except ValueError:
        return None
    match record:
        case {"schema": schema, "custom_id": str(custom_id), "request": str(request), "settings": str(settings)}:
            if schema == SCHEMA:
                return RecordHead(custom_id, request, settings, failed=record.get("error") is not None)
    return None


def is_cut_short(tail: bytes) -> bool:
    """Tell whether the end of a file, with no newline, can be a record that was being written."""
    return tail.startswith(_LINE_START) or _LINE_START.startswith(tail)


def _record(item: BatchItem, run: RunInfo, content: Record) -> Record:
    record: dict[str, object] = {"schema": SCHEMA}
    if item.endpoint is not None:
        record["id"] = f"batch_req_{digest([item.custom_id, item.fingerprint, run.fingerprint])}"
    return {
        **record,
        "custom_id": item.custom_id,
        **content,
        "request": item.fingerprint,
        "settings": run.fingerprint,
    }


def _plain_choice(choice: Choice) -> Record:
    answer: dict[str, object] = {
        "index": choice.index,
        "text": choice.text,
        "finish_reason": choice.finish_reason,
    }
    if choice.logprobs is not None:
        answer["logprobs"] = [
            {
                "token_id": token.token_id,
                "text": token.text,
                "logprob": logprob(token.logprob),
                "top": [
                    {"token_id": token_id, "text": text, "logprob": logprob(value)}
                    for token_id, text, value in token.top
                ],
            }
            for token in choice.logprobs
        ]
    return answer
