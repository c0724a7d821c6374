"""The events of a streamed answer, of `/v1/completions` or `/v1/chat/completions`."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, NamedTuple

from baichuan_cli.engine.server_error import ServerError, told
from baichuan_cli.engine.stream import Usage

DONE = b"[DONE]"

_LESSONS = 3  # events of a stream to learn from, if they teach nothing


class Event(NamedTuple):
    """What an event brings. vLLM ends with an event that has usage alone; others send it with the last text."""

    text: str | None  # None where it brings no token
    finish_reason: str | None
    usage: Usage | None


class EventReader:
    """Reads the events of one stream.

    Most events of a stream differ in nothing but the text. What stands before and after it is learned from one of
    them, and where it stands there again, the text between is taken without parsing the rest.
    """

    def __init__(self) -> None:
        self._before = self._after = b""
        self._lessons = _LESSONS

    def read(self, data: bytes) -> Event:
        """Return what an event brings of the first choice.

        Raises:
            ServerError: it tells of an error, or it is not what the API promises.
        """
        before, after = self._before, self._after
        if before and len(data) >= len(before) + len(after) and data.startswith(before) and data.endswith(after):
            raw = data[len(before) : -len(after)]
            if (text := _plain(raw)) is not None:
                return Event(text, None, None)
        event = _parsed(data)
        if not before and self._lessons and event.text:
            self._learn(data, event.text)
        return event

    def _learn(self, data: bytes, text: str) -> None:
        self._lessons -= 1
        before, found, after = data.partition(json.dumps(text, ensure_ascii=False).encode())
        # Names and other values may read the same: only the true place makes a text of what is put there.
        with suppress(ServerError):
            if found and _parsed(before + b'"?"' + after) == Event("?", None, None):
                self._before, self._after = before + b'"', b'"' + after


def _plain(raw: bytes) -> str | None:
    """Return the string that JSON writes as these bytes between quotes; None where that takes a parser."""
    if b'"' in raw or b"\\" in raw:
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None  # bare control characters are no JSON, and the parser says so


def _parsed(data: bytes) -> Event:
    try:
        content = json.loads(data)
        choices = content.get("choices")
        if choices:
            text, reason = _choice(choices[0])
        elif "error" in content or content.get("object") == "error":
            said = told(data)
            raise ServerError(f"The server failed in mid-answer: {said}", hint="Look at its log.", reason=said)
        else:
            text = reason = None
        usage = content.get("usage")
        return Event(text, reason, _usage(usage) if usage else None)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        shown = data[:100].decode("utf-8", "replace")
        raise ServerError(
            f"The server sent an event that makes no sense: {shown}", hint="Is it OpenAI-compatible? Look at its log."
        ) from error


def _choice(choice: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return the text and the reason to end; a chat begins with an event that has a role and no text."""
    if "delta" in choice:
        delta = choice["delta"]
        text = delta.get("content")
        if not text and "role" in delta:
            text = None
    else:
        text = choice["text"]
    if text is not None and not isinstance(text, str):
        raise TypeError("the text is no string")
    return text, choice.get("finish_reason")


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    return Usage(int(usage["prompt_tokens"]), int(usage.get("completion_tokens") or 0), details.get("cached_tokens"))
