"""What a line of a batch input may hold: the fields, their types and their ranges.

The names are OpenAI's, with the extras that vLLM's server takes. The ranges are those that every vLLM from 0.5.0
accepts, so that a value which passes here does not stop the engine in the middle of a batch.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, model_validator

from baichuan_cli.batch.item import Endpoint, Message
from baichuan_cli.plan.readers import LARGEST
from baichuan_cli.similar import similar

_LONGEST_SHOWN_VALUE = 60  # characters; a reason stays on one line of a terminal


def _one_prompt(value: object) -> str | tuple[int, ...]:
    """Accept OpenAI's `prompt` where it is one prompt: text, a list of one text, or a list of token ids.

    Several prompts in one line would need several answers under one custom_id.
    """
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    if isinstance(value, str):
        if not value:
            raise ValueError("the prompt is empty")
        return value
    if not isinstance(value, list):
        raise ValueError("prompt must be text or a list of token ids")
    if not value:
        raise ValueError("the prompt is empty")
    if any(isinstance(part, (str, list)) for part in value):
        raise ValueError("prompt is a list of several prompts; give each one a line of its own")
    if any(type(part) is not int or part < 0 for part in value):
        raise ValueError("prompt must be text or a list of token ids, which are whole numbers from 0 up")
    return tuple(value)


def _text_of_parts(content: object) -> object:
    """Join OpenAI's list of text parts; anything else goes on to the string check."""
    if not isinstance(content, list):
        return content
    texts: list[str] = []
    for part in content:
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case _:
                raise ValueError("the content of a message may hold text only")
    return "".join(texts)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _count_of_logprobs(value: object) -> object:
    """Turn the chat API's true and false into the completions API's number of alternatives."""
    if isinstance(value, bool):
        return 0 if value else None
    return value


# Fields that vLLM's SamplingParams has under the same name and with the same meaning.
_SAME_NAME = {
    "frequency_penalty",
    "ignore_eos",
    "min_p",
    "min_tokens",
    "n",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "stop_token_ids",
    "temperature",
    "top_k",
    "top_p",
}


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: object) -> object:
        """Treat null as absent: clients write out every field that they did not set."""
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data


class _Sampling(_Strict):
    max_tokens: Annotated[int, Field(ge=1, le=LARGEST)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=LARGEST)] | None = None
    min_tokens: Annotated[int, Field(ge=0, le=LARGEST)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=LARGEST)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=16384)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]] | None, BeforeValidator(_listed)] = None
    stop_token_ids: list[Annotated[int, Field(ge=0, le=LARGEST)]] | None = None
    ignore_eos: bool | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    logprobs: Annotated[Annotated[int, Field(ge=0, le=20)] | None, BeforeValidator(_count_of_logprobs)] = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    # Accepted because clients send them; none of them changes an answer.
    model: str | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    stream: Literal[False] | None = None
    echo: Literal[False] | None = None

    @model_validator(mode="after")
    def _agree(self) -> _Sampling:
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            raise ValueError("max_tokens and max_completion_tokens differ; give one of them")
        if self.top_logprobs is not None and self.logprobs is None:
            raise ValueError("top_logprobs needs logprobs: true")
        return self

    def sampling(self) -> dict[str, object]:
        """Return what the line sets, under the names of vLLM's SamplingParams."""
        values = self.model_dump(include=_SAME_NAME, exclude_none=True)
        values["max_tokens"] = self.max_completion_tokens or self.max_tokens
        values["logprobs"] = self.logprobs if self.top_logprobs is None else self.top_logprobs
        if self.top_k == 0:  # "all tokens" in today's vLLM, an error in 0.5; -1 means the same in every release
            values["top_k"] = -1
        return {name: value for name, value in values.items() if value is not None}


class CompletionBody(_Sampling):
    """A prompt to continue."""

    prompt: Annotated[str | tuple[int, ...], PlainValidator(_one_prompt)]


class _Message(_Strict):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_text_of_parts)]


class ChatBody(_Sampling):
    """A chat to answer."""

    messages: list[_Message]

    @model_validator(mode="after")
    def _ends_with_the_user(self) -> ChatBody:
        if not self.messages:
            raise ValueError("messages is empty")
        if any(message.role == "system" for message in self.messages[1:]):
            raise ValueError("only the first message may have the role system")
        if self.messages[-1].role != "user":
            raise ValueError("the last message must have the role user")
        if not self.messages[-1].content:
            raise ValueError("the last message is empty")
        return self

    def turns(self) -> tuple[Message, ...]:
        """Return the messages as plain dictionaries."""
        return tuple(Message(role=message.role, content=message.content) for message in self.messages)


class Envelope(_Strict):
    """A line of OpenAI's batch format, its body still unread."""

    custom_id: Any = None
    method: Literal["POST"] = "POST"
    url: Endpoint
    body: dict[str, Any]


def explain(error: ValidationError, known: Collection[str], prefix: str = "") -> str:
    """Return the first thing that is wrong, in one sentence with the field and its value.

    Args:
        known: the field names to suggest from when a name is unknown.
        prefix: where the validated object sits in the line, such as `body.`.
    """
    first = error.errors(include_url=False)[0]
    name = prefix + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    kind = first["type"]
    if kind == "value_error":
        return str(first["ctx"]["error"])
    if kind == "missing":
        return f"{name} is missing"
    if kind == "extra_forbidden":
        nearest = similar(str(first["loc"][-1]), known, count=1)
        return f"{name} is not supported" + (f"; did you mean {nearest[0]}?" if nearest else "")
    match kind:
        case "model_type" | "dict_type":
            rule = "must be an object"
        case "literal_error":
            rule = "must be " + first["ctx"]["expected"].replace("'", '"').replace("False", "false")
        case _:
            rule = "must " + first["msg"].partition(" should ")[2]
    shown = json.dumps(first["input"], ensure_ascii=False)
    if len(shown) > _LONGEST_SHOWN_VALUE:
        shown = shown[: _LONGEST_SHOWN_VALUE - 1] + "…"
    return f"{name} {rule}, but is {shown}"
