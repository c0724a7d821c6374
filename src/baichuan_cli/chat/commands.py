"""The commands that can be typed in a conversation, and how a typed line becomes one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from baichuan_cli.errors import BcliError
from baichuan_cli.similar import did_you_mean, similar

Name = Literal[
    "help",
    "system",
    "reset",
    "undo",
    "retry",
    "edit",
    "set",
    "show",
    "save",
    "load",
    "model",
    "stats",
    "multiline",
    "exit",
]
NAMES: tuple[Name, ...] = get_args(Name)


@dataclass(frozen=True, slots=True)
class Usage:
    """What stands in /help."""

    arguments: str
    does: str


COMMANDS: Mapping[Name, Usage] = {
    "help": Usage("", "show this"),
    "system": Usage("[TEXT|none]", "show, change or remove the system prompt"),
    "reset": Usage("", "begin anew; the system prompt and the settings stay"),
    "undo": Usage("", "take back the last question and its answer"),
    "retry": Usage("", "answer the last question again"),
    "edit": Usage("", "change the last question and ask it again"),
    "set": Usage("[NAME [VALUE]]", "show or change sampling: /set temperature 0.3, /set temperature default"),
    "show": Usage("[chat]", "show what is in force, or the whole conversation"),
    "save": Usage("FILE", "write the conversation to a JSON file"),
    "load": Usage("[NAME|FILE]", "list past conversations, or go on with one, or with a saved file"),
    "model": Usage("[NAME]", "list the models, or let another one answer"),
    "stats": Usage("[on|off]", "show the figures of the last answer, or of every one"),
    "multiline": Usage("[on|off]", "let Enter begin a line and Alt-Enter send"),
    "exit": Usage("", "leave; so do Ctrl-D, and Ctrl-C twice"),
}

#: What people type who come from other programs.
ALIASES: Mapping[str, Name] = {
    "?": "help",
    "h": "help",
    "clear": "reset",
    "new": "reset",
    "regenerate": "retry",
    "quit": "exit",
    "bye": "exit",
    "q": "exit",
}

_COMMAND = re.compile(r"/(?P<word>[a-zA-Z]+|\?)(?:\s+(?P<argument>.*?))?\s*", re.DOTALL)
_QUOTES = '"""'


class Command(NamedTuple):
    """A command that was typed."""

    name: Name
    argument: str  # what follows the name, without spaces around it


def parse(line: str) -> Command | str:
    """Return the command that a line is, or the message to send.

    A message in triple quotes is what stands between them. A space before a slash makes a message of the line, and
    so does a second slash behind the word, as in a path.

    Raises:
        BcliError: there is no such command, or it takes nothing behind it.
    """
    if line.startswith(_QUOTES):
        return line.removeprefix(_QUOTES).rstrip().removesuffix(_QUOTES).strip("\n")
    typed = _COMMAND.fullmatch(line)
    if typed is None:
        return line.removeprefix(" ") if line.startswith(" /") else line
    word = typed["word"].lower()
    name = next((each for each in NAMES if each == word), None) or ALIASES.get(word)
    if name is None:
        meant = did_you_mean([f"/{name}" for name in similar(word, [*NAMES, *ALIASES], count=1)])
        raise BcliError(
            f"There is no command /{word}.",
            hint=f"{meant} All of them: /help. To send it as a message, put a space before it.".lstrip(),
        )
    argument = typed["argument"] or ""
    if argument and not COMMANDS[name].arguments:
        raise BcliError(f"/{word} takes nothing behind it, but {argument} stands there.")
    return Command(name, argument)


def is_open_quote(line: str) -> bool:
    """Tell whether a message in triple quotes has begun but not ended, so that Enter begins a new line."""
    return line.startswith(_QUOTES) and (len(line) < 2 * len(_QUOTES) or not line.rstrip().endswith(_QUOTES))
