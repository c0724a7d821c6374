"""The bodies of OpenAI's API, for answers to lines in OpenAI's batch format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

from baichuan_cli.engine.request import Choice, Token

Body = dict[str, object]


def chat_body(unique: str, about: Mapping[str, object], choices: Sequence[Choice], usage: Mapping[str, int]) -> Body:
    """Return a `chat.completion` object; `about` holds `created` (Unix seconds) and `model`."""
    return {
        "id": f"chatcmpl-{unique}",
        "object": "chat.completion",
        **about,
        "choices": [
            {
                "index": choice.index,
                "message": {"role": "assistant", "content": choice.text},
                "logprobs": None
                if choice.logprobs is None
                else {"content": [_chat_token(t) for t in choice.logprobs]},
                "finish_reason": choice.finish_reason,
            }
            for choice in choices
        ],
        "usage": usage,
    }


def completion_body(
    unique: str, about: Mapping[str, object], choices: Sequence[Choice], usage: Mapping[str, int]
) -> Body:
    """Return a `text_completion` object; `about` holds `created` (Unix seconds) and `model`."""
    return {
        "id": f"cmpl-{unique}",
        "object": "text_completion",
        **about,
        "choices": [
            {
                "index": choice.index,
                "text": choice.text,
                "logprobs": None if choice.logprobs is None else _completion_logprobs(choice.logprobs),
                "finish_reason": choice.finish_reason,
            }
            for choice in choices
        ],
        "usage": usage,
    }


def logprob(value: float) -> float | None:
    """Return a log-probability that JSON can hold.

    OpenAI writes -9999.0 where it is minus infinity. NaN, the mark of an overflow in the model, becomes null.
    """
    return None if math.isnan(value) else max(value, -9999.0)


def _chat_token(token: Token) -> Body:
    return {
        **_chat_alternative(token.text, token.logprob),
        "top_logprobs": [_chat_alternative(text, value) for _, text, value in token.top],
    }


def _chat_alternative(text: str, value: float) -> Body:
    # A token that holds part of a character has no text of its own; OpenAI gives null for bytes that are not known.
    known = "\N{REPLACEMENT CHARACTER}" not in text
    return {"token": text, "logprob": logprob(value), "bytes": list(text.encode()) if known else None}


def _completion_logprobs(tokens: Sequence[Token]) -> Body:
    ends = accumulate((len(token.text) for token in tokens), initial=0)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [logprob(token.logprob) for token in tokens],
        "top_logprobs": [{text: logprob(value) for _, text, value in token.top} for token in tokens],
        "text_offset": [start for start, _ in zip(ends, tokens, strict=False)],
    }
