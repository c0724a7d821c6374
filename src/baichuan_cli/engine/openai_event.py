"""One event of a streamed answer, of `/v1/completions` or `/v1/chat/completions`."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from baichuan_cli.engine.server_error import ServerError, told
from baichuan_cli.engine.stream import Usage

DONE = b"[DONE]"


class Event(NamedTuple):
    """What an event brings. vLLM ends with an event that has usage alone; others send it with the last text."""

    text: str | None  # None where it brings no token
    finish_reason: str | None
    usage: Usage | None


def read_event(data: bytes) -> Event:
    """Read an event of the first choice.

    Raises:
        ServerError: it tells of an error, or it is not what the API promises.
    """
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
