"""Say that a start is slow because it is the first one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from baichuan_cli import paths
from baichuan_cli.cli.output import Output

if TYPE_CHECKING:
    from baichuan_cli.plan.model import Plan


@contextmanager
def first_start_told(plan: Plan, out: Output) -> Iterator[None]:
    """Tell before an engine starts whether it has to compile, and remember that it did when it is ready."""
    from baichuan_cli.engine.first_start import compiles, mark

    if not compiles(plan):
        yield
        return
    done = mark(plan, paths.state_dir())
    if not done.exists():
        out.note(
            "first start with these settings: vLLM compiles, the next start is faster (--fast-start does without)"
        )
    yield
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()
