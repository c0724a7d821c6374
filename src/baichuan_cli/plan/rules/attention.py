"""Which attention kernel runs, and whether it computes ALiBi.

The 13B models add a slope to every attention score. A kernel that leaves the slopes out still writes fluent text, so
everything about that here is forbidden and not merely refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Drop, Export, Forbid, Outcome, Refuse, Set, Warn
from baichuan_cli.plan.names import ATTENTION_BACKENDS
from baichuan_cli.plan.releases import BAICHUAN_IN_TREE, attention_selectable, triton_attention

_TRITON_PREFILL = "VLLM_USE_TRITON_FLASH_ATTN"
_FIND_OUT = "Find out on this machine before you trust %s: bcli doctor --engine"


def attention(draft: Draft) -> Iterator[Outcome]:
    """Leave the choice of a backend out where vLLM has none to offer; let a vendor's own pass with a warning."""
    backend = draft.attention_backend
    if not attention_selectable(draft.release, draft.profile.kind):
        where = "on the CPU" if draft.profile.kind == "cpu" else "in this release"
        yield Drop("attention_backend", f"not selectable {where}")
    elif backend is not None and backend not in ATTENTION_BACKENDS:
        alibi = f", and neither is whether it computes ALiBi, which {draft.model.name} needs" if draft.alibi else ""
        find_out = _FIND_OUT % "its answers" + f" --set attention_backend={backend}"
        yield Warn(f"attention_backend {backend} is not known to bcli{alibi}", find_out if draft.alibi else "")


def alibi_backend(draft: Draft) -> Iterator[Outcome]:
    """Keep ALiBi away from backends that drop it or cannot do it.

    FlashInfer keeps the slopes and never uses them (0.8.5 to 0.32); FlexAttention raises.
    """
    backend = (draft.attention_backend or "").upper()
    other = f"Use --set attention_backend={triton_attention(draft.release)}."
    if draft.alibi and backend.startswith("FLASHINFER"):
        yield Forbid(
            f"attention_backend {backend} ignores ALiBi without a word; {draft.model.name} would answer wrongly.",
            other,
        )
    elif draft.alibi and backend.startswith("FLEX_ATTENTION"):
        yield Refuse(f"attention_backend {backend} cannot do ALiBi, which {draft.model.name} needs.", other)


def alibi_on_cuda(draft: Draft) -> Iterator[Outcome]:
    """Choose a backend for ALiBi where vLLM's own choice drops it or crashes.

    FlashInfer is the first choice on compute capability 10.x, and in 0.23 on 7.5. On Hopper (9.0) FlashAttention 3 is
    chosen, ALiBi then forces version 2, and version 3's metadata crashes it (run on an H100 with 0.24 and 0.26).
    Version 2 works there when it is named, but Triton decodes batches faster, and its first start is a minute shorter.
    """
    if draft.profile.kind != "cuda" or not draft.alibi:
        return
    if draft.attention_backend is None:
        yield from _backend_for_alibi(draft)
    elif draft.attention_backend.upper() == "FLASH_ATTN" and _needs_care(draft):
        yield Set("attention_config", {"flash_attn_version": 2}, "FlashAttention 3 crashes with ALiBi on Hopper")


def _backend_for_alibi(draft: Draft) -> Iterator[Outcome]:
    capability = draft.compute_capability
    # The old engine chose xFormers or FlashAttention 2, which compute ALiBi. It ran all releases before 0.8, and cards
    # below compute capability 8.0 until it was gone in 0.11.
    if draft.release.matches("<0.8"):
        return
    if capability is None:
        yield Set(
            "attention_backend", triton_attention(draft.release), "computes ALiBi on every card; this one is unknown"
        )
    elif capability[0] == 10 or (capability == (7, 5) and draft.release.matches(">=0.11")):
        card = ".".join(map(str, capability))
        reason = f"vLLM may choose FlashInfer at compute capability {card}, which ignores ALiBi"
        yield Set("attention_backend", triton_attention(draft.release), reason)
    elif _needs_care(draft):
        reason = "FlashAttention 3 crashes with ALiBi, and version 2 is slower in batches on this card"
        yield Set("attention_backend", triton_attention(draft.release), reason)


def _needs_care(draft: Draft) -> bool:
    return draft.compute_capability == (9, 0) and draft.release.matches(">=0.24")


def alibi_on_rocm(draft: Draft) -> Iterator[Outcome]:
    """Refuse the first releases, whose prefill does not get the slopes, and switch Triton's prefill off before 0.9.

    From 0.5.1 on that kernel takes the mask of a batch's first sequence for all of them. The other kernels are right
    from 0.5.4 on (read there, in 0.6.2, in 0.7.2 and in 0.8.5).
    """
    if draft.profile.kind == "rocm" and draft.alibi:
        if draft.release.matches("<0.5.4"):
            yield Forbid(
                f"vLLM {draft.release} on ROCm ignores ALiBi in prefill; {draft.model.name} would answer wrongly.",
                "Use vLLM 0.9 or later, or a 7B model.",
            )
        else:
            yield from _without_triton_prefill(draft)


def alibi_on_dcu(draft: Draft) -> Iterator[Outcome]:
    """Warn of the vendor's builds of 0.5: their early source drops ALiBi in prefill, the later builds are unknown."""
    if draft.profile.kind == "dcu" and draft.alibi:
        if draft.release.matches("<0.6"):
            yield Warn(
                f"ALiBi may be ignored in prefill by vLLM {draft.release} on ROCm: "
                "answers to long prompts may be wrong.",
                _FIND_OUT % "them",
            )
        yield from _without_triton_prefill(draft)


def _without_triton_prefill(draft: Draft) -> Iterator[Outcome]:
    if not draft.release.matches("<0.9"):
        return
    exported = draft.exported.get(_TRITON_PREFILL)
    if exported is not None and exported.lower() in ("1", "true"):
        yield Forbid(
            f"{_TRITON_PREFILL}={exported} is set: Triton's prefill computes ALiBi wrongly before vLLM 0.9.",
            f"unset {_TRITON_PREFILL}",
        )
    elif _TRITON_PREFILL not in draft.environment:
        yield Export(_TRITON_PREFILL, 0, "Triton's prefill computes ALiBi wrongly before vLLM 0.9")


def alibi_kv_cache(draft: Draft) -> Iterator[Outcome]:
    """Refuse another type for the KV cache where vLLM's own ALiBi layers never hear of it."""
    kv_cache_dtype = draft.settings["kv_cache_dtype"].value
    if draft.alibi and kv_cache_dtype not in (None, "auto") and draft.release.matches(BAICHUAN_IN_TREE):
        yield Forbid(
            f"kv_cache_dtype {kv_cache_dtype} does not reach the attention layers of {draft.model.name} in vLLM"
            f" {draft.release}.",
            "Leave it out, or use vLLM 0.25 or later.",
        )
