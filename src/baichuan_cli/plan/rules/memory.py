"""Whether weights and KV cache fit, and what to do where they do not.

What must fit: the weights, the KV cache of one sequence of full length, and what vLLM and its activations take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from baichuan_cli.catalog.memory import kv_bytes_per_token, weight_memory_bytes
from baichuan_cli.plan.draft import Draft, Export, Outcome, Refuse, Set, Warn
from baichuan_cli.plan.rules.parallel import possible_sizes
from baichuan_cli.sizes import GIB

#: Activations, CUDA context and vLLM's own buffers.
OVERHEAD_BYTES = int(1.5 * GIB)

#: Full sequences that the CPU's KV cache should hold, so that a batch keeps the cores busy.
_CPU_SEQUENCES = 8

_CPU_SPACE = "VLLM_CPU_KVCACHE_SPACE"

_SHORTEST = 256  # tokens; a shorter context is not worth proposing, and finer steps are not worth reading


@dataclass(frozen=True, slots=True)
class Need:
    """What one card must hold, in bytes."""

    weights: int
    kv_token: int
    tokens: int

    @property
    def kv(self) -> int:
        """Return the KV cache of one sequence of full length."""
        return self.kv_token * self.tokens

    @property
    def total(self) -> int:
        """Return everything."""
        return self.weights + self.kv + OVERHEAD_BYTES

    def longest(self, free: float) -> int:
        """Return the longest sequence that fits beside the weights, in tokens: a multiple of 256, or 0."""
        return max(0, int(free) // self.kv_token // _SHORTEST * _SHORTEST)

    def whole_gib(self, budget: float) -> tuple[int, int]:
        """Return what is free for the cache beside the weights, and what one sequence needs, in whole GiB."""
        return int(budget - self.weights - OVERHEAD_BYTES) // GIB, math.ceil(self.kv / GIB)

    def __str__(self) -> str:
        overhead = OVERHEAD_BYTES / GIB
        return f"weights {_gib(self.weights)} + KV {_gib(self.kv)} + {overhead:g} GiB"


def memory(draft: Draft) -> Iterator[Outcome]:
    """Split the model over as few cards as hold it; refuse where no number of cards does."""
    if draft.profile.kind == "cpu":
        return
    card = draft.card_memory
    if card is None:
        yield Warn(f"the memory of the card is not known, so whether {draft.model.name} fits was not checked")
        return
    budget = draft.memory_share * card
    size = draft.tensor_parallel_size
    if (need := _need(draft, size)).total <= budget:
        return
    cards = size * draft.pipeline_parallel_size
    shortage = (
        f"{need} > {draft.memory_share:.2f} × {_whole_gib(card)}"
        f" on {'one card' if cards == 1 else f'each of {cards} cards'}"
    )
    shorter = need.longest(budget - need.weights - OVERHEAD_BYTES)
    larger = [each for each in possible_sizes(draft) if each > size and _need(draft, each).total <= budget]
    if larger and "tensor_parallel_size" not in draft.chosen:
        alone = f"; --max-model-len {shorter} would fit" if shorter else ""
        yield Set("tensor_parallel_size", larger[0], shortage + alone)
        return
    ways = [f"--tensor-parallel-size {larger[0]}"] if larger else []
    if shorter:
        ways.append(f"--max-model-len {shorter}")
    if draft.model.quantization is None and draft.profile.quantizations_at(draft.release, size):
        ways.append("a quantized checkpoint (bcli models list)")
    yield Refuse(f"{draft.model.name} does not fit: {shortage}.", f"Use {' or '.join(ways)}." if ways else "")


def cpu_memory(draft: Draft) -> Iterator[Outcome]:
    """Give the KV cache on the CPU whole GiB: room for several full sequences, and never more than is free.

    vLLM takes whole GiB in VLLM_CPU_KVCACHE_SPACE, for each rank. Left to itself it takes 4 in old releases, and in
    new ones nearly all memory or fails.
    """
    if draft.profile.kind != "cpu":
        return
    ranks = draft.tensor_parallel_size * draft.pipeline_parallel_size
    budget = draft.memory_share * draft.machine.host_memory_bytes / ranks
    need = _need(draft, draft.tensor_parallel_size)
    free, least = need.whole_gib(budget)
    host = f"{draft.memory_share:.2f} × {_whole_gib(draft.machine.host_memory_bytes)} of this machine"
    if _CPU_SPACE in draft.environment:
        yield from _check_cpu_space(draft, need, free, least)
    elif free < least:
        ways = [f"--max-model-len {length}"] if (length := need.longest(free * GIB)) else []
        half_free, half_least = _need(draft, draft.tensor_parallel_size, "bfloat16").whole_gib(budget)
        if draft.dtype == "float32" and half_free >= half_least:
            ways.append("--dtype bfloat16")
        if draft.model.quantization is None:
            ways.append("a smaller or quantized checkpoint (bcli models list)")
        yield Refuse(f"{draft.model.name} does not fit: {need} > {host}.", f"Use {' or '.join(ways)}." if ways else "")
    else:
        space = min(free, math.ceil(_CPU_SEQUENCES * need.kv / GIB))
        sequences = space * GIB // need.kv
        yield Export(
            _CPU_SPACE,
            space,
            f"GiB, room for {sequences} sequence{'s' if sequences > 1 else ''} of {need.tokens} tokens;"
            f" {free} GiB are free",
        )


def _check_cpu_space(draft: Draft, need: Need, free: int, least: int) -> Iterator[Outcome]:
    setting = draft.environment[_CPU_SPACE]
    text = str(setting.value)
    if not text.isdecimal():
        yield Refuse(
            f"{_CPU_SPACE}={text} ({setting.source}) is no whole number of GiB.", f"export {_CPU_SPACE}={least}"
        )
    elif int(text) < least and text != "0":
        yield Refuse(
            f"{_CPU_SPACE}={text} ({setting.source}): one sequence of {need.tokens} tokens needs {_gib(need.kv)}.",
            f"export {_CPU_SPACE}={least}, or use --max-model-len {int(text) * GIB // need.kv_token}.",
        )
    elif int(text) > free:
        yield Refuse(
            f"{_CPU_SPACE}={text} ({setting.source}): {max(free, 0)} GiB are free beside the weights"
            f" ({_gib(need.weights)}).",
            f"export {_CPU_SPACE}={least}" if least <= free else "Use a smaller or quantized checkpoint.",
        )


def _need(draft: Draft, tensor_parallel_size: int, dtype: str = "") -> Need:
    """Return what each card holds; pipeline stages share layers, and with them weights and cache, evenly."""
    stages, dtype = draft.pipeline_parallel_size, dtype or draft.dtype
    kv_token = kv_bytes_per_token(draft.model.architecture, dtype, tensor_parallel_size)
    if str(draft.settings["kv_cache_dtype"].value).startswith("fp8"):
        kv_token //= 2
    return Need(
        weights=weight_memory_bytes(draft.model, dtype, tensor_parallel_size) // stages,
        kv_token=max(1, kv_token // stages),
        tokens=draft.max_model_len,
    )


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


def _whole_gib(size: int) -> str:
    return f"{size / GIB:.3g} GiB"
