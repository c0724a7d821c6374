"""The root of the command tree: what it adds to Typer's own."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class RootGroup(TyperGroup):
    """A group that repeats the value with which an option of any command below it cannot do.

    Typer 0.26 and later read numbers with pydantic, whose messages leave the value out; earlier ones repeat it.
    """

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
