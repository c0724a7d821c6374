"""Both READMEs say the same, show only commands that exist, and name what is there."""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from baichuan_cli.cli.app import app
from baichuan_cli.errors import ExitCode

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
READMES = (ENGLISH, CHINESE)
DOCUMENTS = (
    *READMES,
    "CONTRIBUTING.md",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Return the command lines of bcli: typed after a prompt, and named in backticks."""
    typed = re.findall(r"^\$ (bcli .*)$", text, re.MULTILINE)
    named = re.findall(r"`(bcli [^`]+)`", without_code(text))
    return [*typed, *named]


def parse(line: str) -> None:
    """Follow a command line through the command tree as far as its options; raise where there is no such thing."""
    words = shlex.split(re.split(r" [>#|] ?", line)[0])[1:]
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    spellings = {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
    places = [option.nargs for option in command.params if option.param_type_name == "argument"]
    arguments = math.inf if -1 in places else sum(places)
    while words:
        word = words.pop(0)
        if word in ("-h", "--help"):
            continue
        if word == "--":
            break  # what follows is for another program
        if word.startswith("-"):
            assert word in spellings, f"{line}: there is no option {word}"
            if not spellings[word].is_flag and words:
                words.pop(0)
        else:
            assert arguments > 0, f"{line}: {word} is no command, and no argument is taken"
            arguments -= 1


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_exists(name: str) -> None:
    for line in commands(read(name)):
        parse(line)


def test_a_command_that_does_not_exist_is_noticed() -> None:
    for line in ("bcli generat --prompt x", "bcli generate --promptt x", "bcli models list demo"):
        with pytest.raises(AssertionError):
            parse(line)


def test_both_languages_have_the_same_shape() -> None:
    english, chinese = read(ENGLISH), read(CHINESE)
    levels = [re.findall(r"^(#+) ", without_code(text), re.MULTILINE) for text in (english, chinese)]
    assert levels[0] == levels[1]
    rows = [len(re.findall(r"^\|", without_code(text), re.MULTILINE)) for text in (english, chinese)]
    assert rows[0] == rows[1]
    # Comments in the code are translated, the rest of it is not.
    code = [[re.sub(r"#.*", "#", block) for block in code_blocks(text)] for text in (english, chinese)]
    assert code[0] == code[1]


def test_each_language_links_to_the_other() -> None:
    assert f"]({CHINESE})" in read(ENGLISH)
    assert f"]({ENGLISH})" in read(CHINESE)


@pytest.mark.parametrize("name", READMES)
def test_every_document_can_be_found(name: str) -> None:
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", without_code(read(name)))}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("name", READMES)
def test_the_two_commands_lead(name: str) -> None:
    lines = re.findall(r"^\$ (make \w+)", code_blocks(read(name))[0], re.MULTILINE)
    assert lines == ["make demo", "make test"]


@pytest.mark.parametrize("name", READMES)
def test_the_exit_codes_are_all_there(name: str) -> None:
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", read(name), re.MULTILINE)]
    assert codes == [int(code) for code in ExitCode]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", without_code(read(name))):
        path, _, anchor = target.partition("#")
        if path.startswith("http"):
            continue
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.is_file(), f"{name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, f"{name}: {target}"
