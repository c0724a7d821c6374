"""Write `docs/cli.md` from the command tree, or tell whether it is out of date.

    python tools/write_cli_reference.py            # write
    python tools/write_cli_reference.py --check    # exit 1 if writing would change the file

It says what `--help` says. Nothing depends on the terminal or the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from baichuan_cli.cli.app import app
from baichuan_cli.cli.help import by_panel, hints, meaning, of_kind, placeholder, prose, summary, usage_pieces, value
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


def render() -> str:
    """Return the whole page."""
    tree = list(_walk(typer.main.get_command(app), ("bcli",)))
    overview = [["command", "what it does"]]
    overview += [[f"[`{name}`](#{_anchor(name)})", _cell(summary(command))] for name, command in tree]
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
    declared = hints(command)
    arguments = of_kind(command, "argument")
    # An option without a place in the signature is Typer's own, such as --help.
    options = [option for option in of_kind(command, "option") if option.name in declared]
    parts = [f"## {name}\n", *_prose(command.help, name), f"```\n{' '.join([name, *usage_pieces(command)])}\n```\n"]
    if arguments:
        rows = [[f"`{placeholder(argument)}`", _cell(argument.help)] for argument in arguments]
        parts.append(_table([["argument", "meaning"], *rows]))
    for panel, members in by_panel(options):
        rows = [[_spelling(each, declared[each.name]), _cell(meaning(each, declared[each.name]))] for each in members]
        parts += [f"**{panel}**\n"] if panel else []
        parts.append(_table([["option", "meaning"], *rows]))
    return "\n".join(parts)


def _prose(text: str, name: str) -> Iterator[str]:
    for is_example, paragraphs in prose(text, name):
        if is_example:
            yield "```console\n" + "".join(f"$ {command}\n" for command in paragraphs) + "```\n"
        else:
            yield from (f"{paragraph}\n" for paragraph in paragraphs)


def _spelling(option: Any, hint: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*sorted(option.opts, key=len, reverse=True), *option.secondary_opts))
    return f"{names} `{value(option, hint)}`" if value(option, hint) else names


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
