"""How long a prompt with its answer may be."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Export, Forbid, Outcome, Warn

_ALLOW_LONGER = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"


def context_length(draft: Draft) -> Iterator[Outcome]:
    """Refuse lengths beyond the trained one for RoPE; for ALiBi, which extrapolates, warn.

    vLLM's table of rotations ends at the trained length; what it reads beyond is noise.
    """
    trained = draft.model.architecture.context_length
    asked = draft.max_model_len
    if asked <= trained:
        return
    if not draft.alibi:
        yield Forbid(
            f"max_model_len {asked} is more than the {trained} tokens that {draft.model.name} has positions for.",
            f"Use --max-model-len {trained} or less.",
        )
        return
    yield Warn(f"max_model_len {asked}: {draft.model.name} was trained on {trained} tokens, and gets worse beyond")
    if _ALLOW_LONGER not in draft.exported:
        yield Export(_ALLOW_LONGER, 1, f"{asked} tokens were asked for")
