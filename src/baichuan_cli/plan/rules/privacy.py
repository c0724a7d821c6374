"""What vLLM would tell others."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Export, Outcome

_NO_USAGE_STATS = "VLLM_NO_USAGE_STATS"


def privacy(draft: Draft) -> Iterator[Outcome]:
    """Keep vLLM from reporting the model and the machine to its makers, unless a person has decided on it."""
    if _NO_USAGE_STATS not in draft.exported:
        yield Export(_NO_USAGE_STATS, 1, "vLLM would report model and machine to its makers")
