"""How `--help` looks on a terminal of 80 columns, and what is said to a word that is no command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from baichuan_cli.cli.app import app
from cli.in_process import run_bcli

HELP = """\
Usage: bcli [OPTIONS] COMMAND

Run the Baichuan language models on vLLM with the hardware you have.

  bcli generate 床前明月光
  bcli download baichuan2-7b-chat
  bcli chat baichuan2-7b-chat

Where no model is named, the small demo that comes with bcli answers.

Ask a model:
  generate  Answer prompts.
  chat      Have a conversation in the terminal.
  serve     Serve a model over the OpenAI API.
  web       Talk with a model in the browser.

Models:
  download         Download a model and check every file.
  patch-tokenizer  Repair a checkpoint's tokenizer for other programs.
  models           List, show, check and remove models.

This machine:
  doctor    Say what is wrong on this machine, and how to mend it.
  docker    Print the commands that run a model in a container.
  profiles  Show what bcli knows about each card, and which one is here.
  bench     Measure throughput, latency, a server.

Options:
"""

SHOW_HELP = """\
Usage: bcli profiles show [OPTIONS] NAME

Show what a profile says, with what it extends, and why.

Arguments:
  NAME  A profile's name, or a YAML file.

Options:
      --source  Print the file itself: the evidence for each value is in its
                comments.
      --json    Print the result as JSON.
  -h, --help    Show this message and exit.
"""


def tree(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command and group below one."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from tree(child, (*path, name))


COMMANDS = list(tree(typer.main.get_command(app)))


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_the_first_screen(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run_bcli(("--help",), monkeypatch, capfd)
    assert ran.code == 0
    assert ran.stdout.startswith(HELP)
    assert len(ran.stdout.splitlines()) <= 35


def test_a_command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_bcli(("profiles", "show", "--help"), monkeypatch, capfd) == (0, SHOW_HELP, "")


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_no_name_is_cut_short(
    path: tuple[str, ...], command: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    text = run_bcli((*path, "--help"), monkeypatch, capfd).stdout
    shown = set(re.findall(r"(?<![\w-])--?[\w-]+", text))
    names = {name for each in command.params if each.param_type_name == "option" for name in each.opts}
    assert names <= shown
    long = [line for line in text.splitlines() if len(line) > 80 and "  bcli " not in line]
    assert long == []


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("run", "No such command 'run'. Here it is: bcli chat"),
        ("pull", "No such command 'pull'. Here it is: bcli download"),
        ("help", "No such command 'help'. Here it is: bcli --help"),
        ("list", "No such command 'list'. Here it is: bcli models ls"),
    ],
)
def test_a_word_of_another_program(
    word: str, answer: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = run_bcli((word, "x"), monkeypatch, capfd)
    assert ran.code == 2
    assert answer in ran.stderr
