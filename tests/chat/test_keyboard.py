"""The keyboard that stays silent while nobody is asked anything."""

from __future__ import annotations

import os
import termios

import pytest

from baichuan_cli.chat import keyboard
from baichuan_cli.chat.keyboard import silent_keyboard


def test_nothing_typed_is_shown_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, terminal = os.openpty()
    monkeypatch.setattr(keyboard, "_STANDARD_INPUT", terminal)

    def echoes() -> bool:
        return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)

    assert echoes()
    with silent_keyboard():
        assert not echoes()
    assert echoes()
    os.close(screen)
    os.close(terminal)


def test_a_terminal_that_was_taken_away_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, terminal = os.openpty()
    monkeypatch.setattr(keyboard, "_STANDARD_INPUT", terminal)

    def refuse(*arguments: object) -> None:
        raise termios.error(5, "Input/output error")

    with silent_keyboard():
        monkeypatch.setattr(termios, "tcsetattr", refuse)
    with silent_keyboard():
        pass
    os.close(screen)
    os.close(terminal)
