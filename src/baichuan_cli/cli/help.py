"""How `--help` looks: plain lines, options under their headings, no name cut short, whatever Typer is installed.

`tools/write_cli_reference.py` writes docs/cli.md with the same functions. Types and bounds come from the signatures,
because how a built parameter holds them differs between Typer's releases.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup

_VALUES = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}
_WIDEST_NAME = 34  # a longer one has a line of its own


class Command(TyperCommand):
    """A command with this help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what follows the command's name in its usage."""
        return usage_pieces(self)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        _write_help(self, ctx, formatter)


class Group(TyperGroup):
    """A group with this help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what follows the group's name in its usage."""
        return [*usage_pieces(self), "[COMMAND]" if self.invoke_without_command else "COMMAND"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        _write_help(self, ctx, formatter)


def usage_pieces(command: Any) -> list[str]:
    """Return what follows a command's name in its usage."""
    return ["[OPTIONS]", *(placeholder(argument) for argument in of_kind(command, "argument"))]


def of_kind(command: Any, kind: str) -> list[Any]:
    """Return a command's arguments or options that are shown."""
    return [each for each in command.params if each.param_type_name == kind and not each.hidden]


def by_panel(members: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Group options or commands by their panel: those without one first, then as the panels first appear."""
    for panel in dict.fromkeys(["", *(_panel(member) for member in members)]):
        if inside := [member for member in members if _panel(member) == panel]:
            yield panel, inside


def prose(text: str, name: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield a docstring's paragraphs, each on one line, with whether they are examples: calls of the command."""
    called = re.compile(rf"(?:.* \| )?{re.escape(name)}(?: |$)")  # by itself, or at the end of a pipe
    paragraphs = [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n")]
    for is_example, group in groupby(paragraphs, key=lambda paragraph: called.match(paragraph) is not None):
        yield is_example, list(group)


def summary(command: Any) -> str:
    """Return what a command does, in one line."""
    return command.short_help or " ".join((command.help or "").split("\n\n")[0].split())


def placeholder(argument: Any) -> str:
    """Return what stands for an argument in a usage."""
    return str(argument.metavar or argument.name.upper())


def hints(command: Any) -> Mapping[str, Any]:
    """Return the annotations of a command's parameters; what Typer adds itself, such as --help, has none."""
    if command.callback is None:
        return {}
    signature = inspect.signature(inspect.unwrap(command.callback), eval_str=True)
    return {name: parameter.annotation for name, parameter in signature.parameters.items()}


def value(option: Any, hint: Any) -> str:
    """Return what one value of an option is called, N for `Annotated[int | None, …]`; nothing for a flag."""
    if option.is_flag:
        return ""
    while arguments := [each for each in get_args(hint) if each is not NoneType]:
        hint = arguments[0]
    return option.metavar or _VALUES.get(hint, "TEXT")


def meaning(option: Any, hint: Any) -> str:
    """Return an option's help with its range, its variable and its default."""
    variable = f"Variable: {option.envvar}." if option.envvar and option.show_envvar else ""
    default = ""
    if not option.is_flag and option.default not in (None, (), ""):
        default = f"Default: {option.default}."
    return " ".join(filter(None, [" ".join((option.help or "").split()), _range(hint), variable, default]))


def _range(hint: Any) -> str:
    declared = getattr(hint, "__metadata__", [None])[0]
    low, high = getattr(declared, "min", None), getattr(declared, "max", None)
    return "" if low is None or high is None else f"From {low:g} to {high:g}."


def _panel(member: Any) -> str:
    panel = getattr(member, "rich_help_panel", None)
    return panel if isinstance(panel, str) else ""


def _write_help(command: Any, ctx: Any, formatter: Any) -> None:
    command.format_usage(ctx, formatter)
    for is_example, paragraphs in prose(command.help or "", ctx.command_path):
        if is_example:
            formatter.write("\n" + "".join(f"  {example}\n" for example in paragraphs))
            continue
        for paragraph in paragraphs:
            formatter.write_paragraph()
            formatter.write_text(paragraph)
    children = [child for child in getattr(command, "commands", {}).values() if not child.hidden]
    for panel, members in by_panel(children):
        _write_rows(formatter, panel or "Commands", [(child.name, summary(child)) for child in members])
    if arguments := of_kind(command, "argument"):
        _write_rows(formatter, "Arguments", [(placeholder(each), each.help or "") for each in arguments])
    declared = hints(command)
    options = [each for each in command.get_params(ctx) if each.param_type_name == "option" and not each.hidden]
    for panel, members in by_panel(options):
        rows = [(_names(each, declared.get(each.name)), meaning(each, declared.get(each.name))) for each in members]
        _write_rows(formatter, panel or "Options", rows)


def _write_rows(formatter: Any, heading: str, rows: list[tuple[str, str]]) -> None:
    with formatter.section(typer.style(heading, bold=True)):
        formatter.write_dl(rows, col_max=_WIDEST_NAME)


def _names(option: Any, hint: Any) -> str:
    """Return an option's names, the short one first, and its value; long ones stand below each other."""
    names = ", ".join([*sorted(option.opts, key=len), *option.secondary_opts])
    indent = "" if any(not name.startswith("--") for name in option.opts) else "    "
    return f"{indent}{names} {value(option, hint)}".rstrip()
