"""Whether vLLM's server imports: one placeholder on PyPI breaks it while everything else works."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict, ok, warn
from baichuan_cli.engine.failures import recognise

_LONGEST_ERROR = 160  # characters


def server(facts: Facts) -> Iterator[Verdict]:
    """Judge vLLM's server; `bcli generate` works without it."""
    error = facts.imports.errors.get("server")
    if not facts.imports.works("vllm") or error is None:
        return
    if not error:
        yield ok("server", "vLLM's server imports")
        return
    cause = recognise(error)
    yield warn(
        "server",
        f"bcli serve and bcli chat will not work: {cause.message if cause else error[:_LONGEST_ERROR]}",
        cause.hint if cause else "See all of it: python -c 'import vllm.entrypoints.openai.api_server'",
    )
