"""Write `docs/cli.md` from the command tree, or tell whether it is out of date.

    python tools/write_cli_reference.py            # write
    python tools/write_cli_reference.py --check    # exit 1 if writing would change the file

Names, panels and help texts come from the tree that Typer builds; types and bounds come from the signatures, because
how a built parameter holds them differs between Typer's releases. Nothing depends on the terminal or the machine.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import typer

from baichuan_cli.cli.app import app
from baichuan_cli.plan.settings import ENGINE, SAMPLING

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

_INTRODUCTION = """\
# Command line

This page is written by `make docs` from the commands themselves. Every command takes `-h` and `--help`;
`bcli --install-completion` teaches the shell to complete commands, options, models and profiles.
Data goes to stdout, everything else to stderr. The exit codes are in the [README](../README.md#exit-codes).
"""

_SETTINGS = """\
## Settings

The names are vLLM's own. Each can be given in `config.yaml` under `settings` or `sampling`, as an environment variable
`BCLI_NAME`, or on the command line: the engine's by `--set NAME=VALUE` where it has no option of its own.
`seed` on the command line and in `BCLI_SEED` is the seed of sampling; the engine's is `--set seed=N`.
"""

_VALUES = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}


def render() -> str:
    """Return the whole page."""
    tree = list(_walk(typer.main.get_command(app), ("bcli",)))
    overview = [["command", "what it does"]]
    overview += [[f"[`{name}`](#{_anchor(name)})", _first_line(command)] for name, command in tree]
    settings = [["engine", ", ".join(f"`{name}`" for name in ENGINE)]]
    settings += [["sampling", ", ".join(f"`{name}`" for name in SAMPLING)]]
    sections = [_section(name, command) for name, command in tree]
    return "\n".join([_INTRODUCTION, _table(overview), *sections, _SETTINGS, _table([["for", "names"], *settings])])


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, by its full name; most groups only lead to their commands."""
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(path), command
        return
    if command.invoke_without_command:
        yield " ".join(path), command
    for name, child in children.items():
        if not child.hidden:
            yield from _walk(child, (*path, name))


def _section(name: str, command: Any) -> str:
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
    # A parameter without a place in the signature is Typer's own, such as --help.
    parameters = [parameter for parameter in command.params if parameter.name in hints and not parameter.hidden]
    arguments = [parameter for parameter in parameters if parameter.param_type_name == "argument"]
    options = [parameter for parameter in parameters if parameter.param_type_name == "option"]
    usage = " ".join([name, *(_placeholder(argument) for argument in arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"## {name}\n", *_prose(command.help, name), f"```\n{usage}\n```\n"]
    if arguments:
        rows = [[f"`{_placeholder(argument)}`", _cell(argument.help)] for argument in arguments]
        parts.append(_table([["argument", "meaning"], *rows]))
    for panel, members in _panels(options):
        rows = [[_spelling(option, hints[option.name]), _meaning(option, hints[option.name])] for option in members]
        parts += [f"**{panel}**\n"] if panel else []
        parts.append(_table([["option", "meaning"], *rows]))
    return "\n".join(parts)


def _panels(options: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Group options by their panel as `--help` does: those without one first, then as the panels first appear."""
    for panel in dict.fromkeys(["", *(option.rich_help_panel or "" for option in options)]):
        if members := [option for option in options if (option.rich_help_panel or "") == panel]:
            yield panel, members


def _prose(text: str, name: str) -> Iterator[str]:
    """Yield a docstring's paragraphs; neighbouring ones that call the command itself are examples, in one block."""
    called = re.compile(rf"(?:.* \| )?{re.escape(name)}(?: |$)")  # by itself, or at the end of a pipe
    for is_example, group in groupby(text.split("\n\n"), key=lambda paragraph: called.match(paragraph) is not None):
        if is_example:
            commands = "".join(f"$ {' '.join(command.split())}\n" for command in group)
            yield f"```console\n{commands}```\n"
        else:
            yield from (f"{paragraph}\n" for paragraph in group)


def _placeholder(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _spelling(option: Any, hint: Any) -> str:
    names = [f"`{name}`" for name in (*sorted(option.opts, key=len, reverse=True), *option.secondary_opts)]
    value = [] if option.is_flag else [f"`{option.metavar or _value_name(hint)}`"]
    return " ".join([", ".join(names), *value])


def _meaning(option: Any, hint: Any) -> str:
    parts = [_cell(option.help or ""), _bounds(hint)]
    if not option.is_flag and option.default not in (None, ()):
        parts.append(f"Default: `{option.default}`.")
    return " ".join(filter(None, parts))


def _value_name(hint: Any) -> str:
    """Return what one value of an option is called: TEXT for `Annotated[list[str] | None, …]`."""
    while arguments := [each for each in get_args(hint) if each is not NoneType]:
        hint = arguments[0]
    return _VALUES[hint]


def _bounds(hint: Any) -> str:
    declared = hint.__metadata__[0]
    low, high = declared.min, declared.max
    if low is None:
        return ""
    return f"From {low:g} to {high:g}." if high is not None else f"{low:g} or more."


def _first_line(command: Any) -> str:
    return _cell(command.help.split("\n\n")[0])


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _table(rows: list[list[str]]) -> str:
    """Return a Markdown table; the first row is its head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """Write the page, or with --check compare it."""
    page = render()
    if sys.argv[1:] == ["--check"]:
        if DOCUMENT.is_file() and DOCUMENT.read_text(encoding="utf-8") == page:
            return 0
        print("docs/cli.md does not match the commands. Write it anew: make docs", file=sys.stderr)
        return 1
    DOCUMENT.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
