"""What a server answers when it does not do what it was asked, in a person's words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from baichuan_cli.engine.endpoint import shown
from baichuan_cli.errors import BcliError, ExitCode

_LONGEST = 600  # characters of a message that is shown

#: How vLLM from 0.5.0 on, OpenAI and llama.cpp say that a prompt does not fit.
_TOO_LONG = re.compile(r"context[ _](length|size|window)|model[ _]len", re.IGNORECASE)


class ServerError(BcliError):
    """A server refused, failed, fell silent, or cannot be reached.

    Args:
        message: what went wrong.
        hint: what to do next.
        status: the HTTP status; None where none came, or where it failed after it had answered 200.
        reason: what the server itself said, as far as it said anything.
    """

    def __init__(self, message: str, *, hint: str = "", status: int | None = None, reason: str = "") -> None:
        super().__init__(message, hint=hint, exit_code=ExitCode.ENGINE)
        self.status = status
        self.reason = reason

    @property
    def too_long(self) -> bool:
        """Tell whether a prompt was refused because it and its answer are longer than the model's context."""
        return self.status in (400, 413, 422) and bool(_TOO_LONG.search(self.reason))


def told(body: bytes) -> str:
    """Return what the body of an error says.

    vLLM up to 0.10.0 sends {"object": "error", "message": …}, later {"error": {"message": …}}, and for a wrong key
    {"error": "Unauthorized"}; FastAPI sends {"detail": …}. Anything else is returned as text, of a page its title.
    """
    text = body.decode("utf-8", "replace").strip()
    try:
        message = _message(json.loads(text))
    except ValueError:
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        message = title[1] if title else text
    message = " ".join(message.split())
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]} …"


def _message(content: object) -> str:
    match content:
        case {"error": (dict() | str()) as error}:
            return _message(error)
        case {"message": str(message)}:
            return message
        case {"detail": [*problems]}:
            return "; ".join(_problem(problem) for problem in problems)
        case {"detail": str(detail)}:
            return detail
        case str():
            return content
        case _:
            return json.dumps(content, ensure_ascii=False)


def _problem(problem: object) -> str:
    """Return one entry of FastAPI's list of fields that it does not like."""
    match problem:
        case {"loc": [*where], "msg": str(message)}:
            return f"{'.'.join(map(str, where))}: {message}"
        case _:
            return str(problem)


def refusal(url: str, status: int, body: bytes, headers: Mapping[str, str]) -> ServerError:
    """Return the error for an answer of this server that is not 200, from its whole body and its headers."""
    reason = told(body)
    detail = f": {reason}" if reason else "."
    match status:
        case 401 | 403:
            message = f"The server at {url} does not let this request in ({status}){detail}"
            hint = "Give the API key that the server was started with."
        case 404:
            message = f"The server at {url} has no such thing (404){detail}"
            hint = f"Check the address, and what it serves: curl {url}/models"
        case 429:
            message = f"The server at {url} is asked too much (429){detail}"
            hint = f"Try again {_later(headers.get('Retry-After', ''))}, or with fewer requests at once."
        case _ if 300 <= status < 400:
            message = f"The server at {url} has moved ({status})."
            hint = f"It names the address {shown(headers.get('Location', '?'))}: give that one."
        case _ if status in (502, 503, 504):
            message = f"The server at {url} is not ready ({status}){detail}"
            hint = "It may still be loading: try again in a minute, and look at its log."
        case _ if status >= 500:
            message = f"The server at {url} failed ({status}){detail}"
            hint = "Look at its log."
        case _:
            message = f"The server at {url} refused the request ({status}){detail}"
            hint = "Change what it names, or leave it away."
            if re.search(r"context length|too long", reason, re.IGNORECASE):
                hint = "Shorten the prompt, or ask for fewer tokens."
    return ServerError(message, hint=hint, status=status, reason=reason)


def _later(retry_after: str) -> str:
    """Return when to try again: the header holds seconds or a date."""
    if not retry_after:
        return "later"
    return f"in {retry_after} s" if retry_after.isdecimal() else f"after {retry_after}"
