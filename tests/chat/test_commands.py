"""What a typed line means."""

from __future__ import annotations

import pytest

from baichuan_cli.chat.commands import ALIASES, COMMANDS, NAMES, Command, is_open_quote, parse
from baichuan_cli.errors import BcliError


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("你好", "你好"),
        ("你好\n世界", "你好\n世界"),
        ("/help", Command("help", "")),
        ("/?", Command("help", "")),
        ("/HELP ", Command("help", "")),
        ("/bye", Command("exit", "")),
        ("/clear", Command("reset", "")),
        ("/set temperature 0.3", Command("set", "temperature 0.3")),
        ("/set  temperature  0.3 ", Command("set", "temperature  0.3")),
        ("/system 你是诗人\n只写五言", Command("system", "你是诗人\n只写五言")),
        ("/save ~/a b.json", Command("save", "~/a b.json")),
        ("/etc/passwd 是什么", "/etc/passwd 是什么"),
        ("/", "/"),
        ("/1", "/1"),
        (" /help", "/help"),
        (" 你好", " 你好"),
        ('"""你好"""', "你好"),
        ('"""\n/help\n第二行\n"""', "/help\n第二行"),
    ],
)
def test_lines(line: str, expected: Command | str) -> None:
    assert parse(line) == expected


def test_an_unknown_command_is_no_message() -> None:
    with pytest.raises(BcliError) as raised:
        parse("/hlep me")
    assert raised.value.message == "There is no command /hlep."
    assert raised.value.hint == (
        "Did you mean /help? All of them: /help. To send it as a message, put a space before it."
    )


def test_a_command_that_takes_nothing_says_so() -> None:
    with pytest.raises(BcliError) as raised:
        parse("/undo 3")
    assert raised.value.message == "/undo takes nothing behind it, but 3 stands there."


def test_every_command_is_described_and_every_alias_leads_somewhere() -> None:
    assert tuple(COMMANDS) == NAMES
    assert set(ALIASES.values()) <= set(NAMES)
    assert not set(ALIASES) & set(NAMES)


@pytest.mark.parametrize(
    ("line", "is_open"),
    [
        ("", False),
        ("你好", False),
        ('"""', True),
        ('"""你好', True),
        ('"""你好"""', False),
        ('"""\n你好\n"""', False),
        ('"""\n你好\n""" ', False),
        ('""""', True),
        ('他说"""', False),
    ],
)
def test_triple_quotes_stay_open_until_they_are_closed(line: str, is_open: bool) -> None:
    assert is_open_quote(line) is is_open
