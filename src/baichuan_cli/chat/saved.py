"""A conversation as a JSON file for other programs, and back: messages as in OpenAI's API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from baichuan_cli.atomic_file import replace_file
from baichuan_cli.chat.conversation import Conversation, Message
from baichuan_cli.chat.events import Answered, Asked, Event, SystemChanged
from baichuan_cli.errors import BcliError, ExitCode


class _Message(BaseModel):
    model_config = ConfigDict(strict=True)

    role: Literal["system", "user", "assistant"]
    content: str


class _Saved(BaseModel):
    model_config = ConfigDict(strict=True)

    messages: list[_Message]

    @model_validator(mode="after")
    def _is_a_conversation(self) -> _Saved:
        roles = [message.role for message in self.messages]
        turns = roles[1:] if roles[:1] == ["system"] else roles
        if "system" in turns:
            raise ValueError("only the first message may have the role system")
        if any(role != ("user", "assistant")[index % 2] for index, role in enumerate(turns)):
            raise ValueError("user and assistant must take turns, the user first")
        return self


def save(conversation: Conversation, path: Path) -> None:
    """Write the model and the messages, whole or not at all; an existing file is replaced.

    Raises:
        OSError: the file cannot be written.
    """
    messages: list[Message] = []
    if conversation.system is not None:
        messages.append({"role": "system", "content": conversation.system})
    for each in conversation.rounds:
        if each.answer:
            messages.append({"role": "user", "content": each.question})
            messages.append({"role": "assistant", "content": each.answer})
    content = json.dumps({"model": conversation.model, "messages": messages}, ensure_ascii=False, indent=2)
    replace_file(path, content.encode() + b"\n")


def load(path: Path) -> list[Event]:
    """Return what must happen in an empty conversation to make it the one in a file.

    Raises:
        BcliError: the file holds no messages, or not in an order that a conversation can have.
        OSError: it cannot be read.
    """
    try:
        saved = _Saved.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BcliError(
            f"{path} is no conversation: {f'{where}: ' if where else ''}{first['msg']}.",
            hint='It must be JSON like {"messages": [{"role": "user", "content": "你好"}]}.',
            exit_code=ExitCode.INVALID,
        ) from None
    events: list[Event] = []
    for message in saved.messages:
        match message.role:
            case "system":
                events.append(SystemChanged(content=message.content))
            case "user":
                events.append(Asked(content=message.content))
            case "assistant":
                events.append(Answered(content=message.content, finish="stop"))
    return events
