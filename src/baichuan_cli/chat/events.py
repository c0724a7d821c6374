"""What happens in a conversation, as it is kept: one event, one line of JSON. Reading them in order gives it back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

#: Why an answer ended: by itself, at max_tokens, by Ctrl-C, or because the server failed.
Finish = Literal["stop", "length", "stopped", "failed"]


class _Event(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Begun(_Event):
    """The first line of a file. Secrets such as an API key are never part of it."""

    event: Literal["begun"] = "begun"
    schema_name: Annotated[Literal["bcli.chat/1"], Field(alias="schema")] = "bcli.chat/1"
    at: str  # local time, ISO 8601
    model: str
    url: str | None = None  # of a server that bcli did not start


class ModelChosen(_Event):
    """Another model answers from now on."""

    event: Literal["model"] = "model"
    model: str
    url: str | None = None


class SystemChanged(_Event):
    """Another system prompt, or none; it stands before the whole conversation from now on."""

    event: Literal["system"] = "system"
    content: str | None


class SettingChanged(_Event):
    """A sampling parameter by its name in vLLM's SamplingParams; None goes back to the default."""

    event: Literal["set"] = "set"
    name: str
    value: bool | int | float | str | tuple[str, ...] | tuple[int, ...] | None


class Asked(_Event):
    """The person's turn: a new round."""

    event: Literal["user"] = "user"
    content: str


class Answered(_Event):
    """A piece of the model's turn, or all of it; `finish` is None while more is to come."""

    event: Literal["assistant"] = "assistant"
    content: str
    finish: Finish | None = None


class AnswerDropped(_Event):
    """The last answer is taken back, and the same question asked again."""

    event: Literal["retry"] = "retry"


class RoundDropped(_Event):
    """The last round is taken back, question and answer."""

    event: Literal["undo"] = "undo"


Event = Begun | ModelChosen | SystemChanged | SettingChanged | Asked | Answered | AnswerDropped | RoundDropped

_ADAPTER: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def to_line(event: Event) -> bytes:
    """Return an event as one line of JSON, its newline included and its Chinese readable."""
    return event.model_dump_json(by_alias=True).encode() + b"\n"


def from_line(line: bytes) -> Event:
    """Read an event.

    Raises:
        pydantic.ValidationError: it is none of this schema.
    """
    return _ADAPTER.validate_json(line)
