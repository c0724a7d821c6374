"""How near a measurement comes to what the hardware can do.

Decoding reads every weight and every cached key and value once a step, so memory bandwidth bounds it: MBU is the bytes
a step must read, per second, over the bandwidth. Prefill multiplies every weight with every token, so arithmetic
bounds it: MFU is the operations over the peak. Both count what the model's shape demands and nothing that an
implementation may do besides. Several cards share the bytes and the operations evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from baichuan_cli.catalog.memory import kv_bytes_per_token, weight_memory_bytes
from baichuan_cli.catalog.model import DTYPE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from baichuan_cli.bench.record import Record
    from baichuan_cli.catalog.model import Architecture, Model
    from baichuan_cli.plan.model import Plan

#: Shares of the ceiling that well-tuned engines reach with 7B and 13B models on data-centre cards: what was
#: published for LMDeploy and vLLM on A100 and H100, and what docs/benchmarks.md has for an H100.
EXPECTED_MBU = (0.60, 0.80)
EXPECTED_MFU = (0.50, 0.72)


@dataclass(frozen=True, slots=True)
class Load:
    """A model as one card holds it.

    Attributes:
        dtype: of the weights that are not quantized, and of the computation.
        kv_element_bytes: of one element of the KV cache.
        cards: over how many the layers are split.
    """

    model: Model
    dtype: str
    kv_element_bytes: int
    cards: int

    @classmethod
    def of(cls, plan: Plan) -> Load:
        """Return how a plan holds its model."""
        dtype = str(plan.settings["dtype"].value)
        cache = str(plan.settings["kv_cache_dtype"].value or "auto")
        cards = int(str(plan.settings["tensor_parallel_size"].value))
        return cls(plan.model, dtype, 1 if "8" in cache else DTYPE_BYTES[dtype], cards)

    @property
    def step_weight_bytes(self) -> int:
        """Return the bytes of weights that one decode step reads on a card; the embedding is only indexed."""
        architecture = self.model.architecture
        embedding = architecture.vocab_size * architecture.hidden_size * DTYPE_BYTES[self.dtype]
        return weight_memory_bytes(self.model, self.dtype, self.cards) - embedding // self.cards

    def step_bytes(self, context_tokens: int) -> int:
        """Return the bytes that one decode step reads on a card.

        Args:
            context_tokens: tokens in the KV cache, over all sequences of the batch.
        """
        per_token = kv_bytes_per_token(self.model.architecture, self.dtype, self.cards)
        return self.step_weight_bytes + context_tokens * per_token * self.kv_element_bytes // DTYPE_BYTES[self.dtype]

    def mbu(self, batch: int, mean_context: float, step_seconds: float, bandwidth_gb_s: float) -> float:
        """Return the share of the memory bandwidth that decoding uses."""
        return self.step_bytes(int(batch * mean_context)) / step_seconds / (bandwidth_gb_s * 1e9)

    def mfu(self, prompt_lengths: Sequence[int], seconds: float, peak_tflops: float) -> float:
        """Return the share of the peak arithmetic that prefill uses."""
        architecture = self.model.architecture
        operations = sum(prefill_operations(architecture, length) for length in prompt_lengths)
        return operations / self.cards / seconds / (peak_tflops * 1e12)


def prefill_operations(architecture: Architecture, tokens: int) -> int:
    """Return the floating-point operations of one prompt: linear layers, causal attention, and the head once.

    A multiply-add counts as two. Causal attention is half of the square: scores and values take 2 x hidden x tokens²
    a layer.
    """
    attention = 2 * architecture.num_hidden_layers * architecture.hidden_size * tokens**2
    head = 2 * architecture.vocab_size * architecture.hidden_size
    return 2 * architecture.linear_parameters * tokens + attention + head


def what_to_check(record: Record, *, prefill: bool) -> str:
    """Return what to look at first where a share lies below the expected band."""
    settings, cards = record.settings, record.environment["accelerators"]
    checks = []
    if settings["enforce_eager"].value and not prefill:
        checks.append("try --no-enforce-eager")
    if settings["dtype"].value == "float32" and not settings["dtype"].source.startswith("profile"):
        checks.append("float32 moves twice the bytes: try --dtype bfloat16 or float16")
    if not cards:
        checks.append("what else runs on these cores")
    elif "clocks.sm" in cards[0]:
        checks.append("clocks and power limit (recorded in the run)")
    else:
        checks.append("clocks and power limit")
    if (backend := settings["attention_backend"].value) is not None:
        checks.append(f"attention backend {backend}")
    return "; ".join(checks[:2])
