"""What a container needs on one kind of hardware, with the reason for each part; a section of its profile."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

#: Options of `docker run`; `group-of` stands for `group-add` with the group that owns a file of the host.
OptionName = Literal[
    "privileged",
    "device",
    "gpus",
    "group-add",
    "group-of",
    "cap-add",
    "security-opt",
    "ulimit",
    "ipc",
    "network",
    "shm-size",
    "volume",
    "env",
    "init",
]
Reason = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reasoned(_Strict):
    """A value and the reason for it."""

    value: str
    because: Reason


class Option(_Strict):
    """One option of `docker run`."""

    option: OptionName
    value: str = ""  # empty for an option that takes none
    because: Reason


class Recipe(_Strict):
    """What the image is built from, and how it is run."""

    base: Reasoned  # an image with the card's libraries and, unless `extra` brings it, vLLM
    extra: Reasoned | None = None  # the extra of bcli that brings vLLM
    user: Reasoned  # "bcli", or "root" where the devices want it
    options: tuple[Option, ...] = ()


#: What every container gets, whatever the hardware.
COMMON = (
    Option(option="init", because="process 1 of a container must pass signals on, so that vLLM ends with it"),
    Option(
        option="volume", value="bcli:/var/lib/bcli", because="models, conversations and logs outlive the container"
    ),
)
