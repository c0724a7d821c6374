"""The root of the command tree: what it adds to Typer's own."""

from __future__ import annotations

from typing import Any

import typer

from baichuan_cli.cli.help import Group

#: What other programs call it.
_ELSEWHERE = {
    "help": "bcli --help",
    "version": "bcli --version",
    "run": "bcli chat",
    "complete": "bcli generate",
    "pull": "bcli download",
    "list": "bcli models ls",
    "ls": "bcli models ls",
    "show": "bcli models show",
    "rm": "bcli models rm",
}


class RootGroup(Group):
    """A group that knows other programs' names of its commands, and repeats a value that no option can do with.

    Typer 0.26 and later read numbers with pydantic, whose messages leave the value out; earlier ones repeat it.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command by its name."""
        if args[0] in _ELSEWHERE:
            ctx.fail(f"No such command '{args[0]}'. Here it is: {_ELSEWHERE[args[0]]}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from pydantic import ValidationError

            if isinstance(error.__cause__, ValidationError):
                value = error.__cause__.errors(include_url=False)[0]["input"]
                error.message += f" (it is {value!r})"
            raise
