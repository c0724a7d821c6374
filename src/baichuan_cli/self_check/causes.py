"""What is known to make an engine's answers wrong without a word, each as a change to the right computation.

Seen in vLLM and its builds: ALiBi is left out in the prefill of 0.5 on ROCm, and altogether by FlashInfer; the rotary
embedding is chosen for a model by its hidden size, up to 0.24; a normalised head is known by its vocabulary alone, up
to 0.24; 0.8.3 to 0.8.5 split the head wrongly over cards; GPTQ's groups are cut where a card's share is no multiple
of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from baichuan_cli.self_check.forward import Computation, alibi_slopes
from baichuan_cli.self_check.rounding import Rounding

if TYPE_CHECKING:
    from baichuan_cli.catalog.model import Model, Quantization

_OTHER_ATTENTION = (
    "Choose another attention: --set attention_backend=TRITON_ATTN (vLLM 0.9 and later on a card), or use another\n"
    "release of vLLM. The 7B models have no ALiBi and are not concerned."
)
_REPORT = "Do not use these answers. Try another release of vLLM or of the card's software, and report this."
_ONE_CARD = "Use --tensor-parallel-size 1, or vLLM 0.9.1 or later."
_NORM_HEAD = (
    'Write "norm_head": true into config.json, for vLLM 0.25 and later; earlier releases know a normalised head by\n'
    "a vocabulary of 125,696 alone."
)
_GROUPS = "Use --tensor-parallel-size 1, or a checkpoint with smaller groups."
_CUT = "--dtype float32 is exact, and --dtype float16 finer where the hardware has it."
_COARSE = "Choose the dtype yourself with --dtype, or use another release of vLLM."


@dataclass(frozen=True, slots=True)
class Cause:
    """Something known that explains wrong answers.

    Attributes:
        name: for scripts; never changes.
        what: completes "the answers fit …"; where it is harmless, "rounding gives …, … gives …".
        hint: what to do about it.
        flawed: the computation with that in it.
        harmless: the answers are right all the same, only coarser.
    """

    name: str
    what: str
    hint: str
    flawed: Computation
    harmless: bool = False


def right_way(model: Model) -> Computation:
    """Return how a model is meant to be computed."""
    sizes = model.architecture
    slopes = alibi_slopes(sizes.num_attention_heads) if sizes.position_embedding == "alibi" else ()
    return Computation(position=sizes.position_embedding, norm_head=sizes.norm_head, slopes=slopes)


def known_causes(model: Model, shards: int, rounding: Rounding) -> Iterator[Cause]:
    """Yield what can go wrong with a model, the likeliest first.

    Args:
        model: as its files have it.
        shards: over how many cards its layers are split.
        rounding: how coarsely it was meant to be computed.
    """
    right = right_way(model)
    sizes = model.architecture
    if right.position == "alibi":
        in_prefill = replace(right, bias_in_prefill=False)
        yield Cause("alibi-in-prefill", "a model without ALiBi in prefill", _OTHER_ATTENTION, in_prefill)
        yield Cause("alibi", "a model without ALiBi", _OTHER_ATTENTION, replace(right, position="none"))
        yield Cause("alibi-rope", "rotary embeddings in place of ALiBi", _REPORT, replace(right, position="rope"))
    else:
        yield Cause("rope", "a model without rotary embeddings", _REPORT, replace(right, position="none"))
        in_pairs = replace(right, position="rope in pairs")
        yield Cause("rope-pairs", "rotary embeddings that turn the wrong pairs", _REPORT, in_pairs)
        slopes = alibi_slopes(sizes.num_attention_heads)
        instead = replace(right, position="alibi", slopes=slopes)
        yield Cause("rope-alibi", "ALiBi in place of rotary embeddings", _REPORT, instead)
    if right.norm_head:
        yield Cause("norm-head", "a head that is not normalised", _NORM_HEAD, replace(right, norm_head=False))
    else:
        told = "a head that is normalised, which this model's is not"
        yield Cause("plain-head", told, _REPORT, replace(right, norm_head=True))
    if shards > 1:
        first = replace(right, shards=shards, head_split=True)
        yield Cause("head-shard", f"a head whose first part is on all {shards} cards", _ONE_CARD, first)
    if model.quantization and model.quantization.grouped:
        yield from _of_packing(model.quantization, right, shards)
    yield from _coarser(right, rounding)


def _of_packing(quantization: Quantization, right: Computation, shards: int) -> Iterator[Cause]:
    method = quantization.method
    if shards > 1:
        cut = replace(right, packing="groups cut", shards=shards)
        yield Cause("groups-cut", f"{method} groups that are cut between cards", _GROUPS, cut)
        first = replace(right, packing="first shard's groups", shards=shards)
        yield Cause("groups-first", f"the first card's {method} scales on every card", _GROUPS, first)
    if method == "gptq" and quantization.desc_act is not False:
        ignored = replace(right, packing="order ignored")
        yield Cause("order", "GPTQ groups without their activation order", _REPORT, ignored)
    if method == "gptq":
        zeros = replace(right, packing="zeros off by one")
        yield Cause("zeros", "GPTQ zero points that are off by one", _REPORT, zeros)


def _coarser(right: Computation, rounding: Rounding) -> Iterator[Cause]:
    if rounding.fp8 or rounding.fp8_cache:
        return
    if rounding.precision == "bfloat16":
        cut = replace(right, rounding=Rounding("bfloat16 cut off"))
        yield Cause("bfloat16-cut", "cutting it off", _CUT, cut, harmless=True)
    else:
        coarse = replace(right, rounding=Rounding("bfloat16"))
        yield Cause("bfloat16", f"bfloat16, where {rounding} was planned", _COARSE, coarse)
