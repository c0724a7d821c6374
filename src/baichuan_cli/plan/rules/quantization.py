"""Whether the checkpoint's quantization runs on this hardware and release."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Forbid, Outcome, Refuse, Set, Warn
from baichuan_cli.plan.names import QUANTIZATIONS
from baichuan_cli.plan.releases import NO_ACTIVATION_ORDER

#: Methods that quantize plain weights while they are loaded, so the checkpoint needs none.
_WHILE_LOADING = ("fp8", "bitsandbytes")

_CPU_BITS = 4

#: Methods with 4-bit weights, whose kernel for the CPU (cpu_gemm_wna16) vLLM builds for AVX-512 alone. Seen in 0.32 on
#: a processor with AVX2: the model loads, and its first answer fails.
_WITH_AVX512 = ("gptq", "awq", "compressed-tensors")


def quantization(draft: Draft) -> Iterator[Outcome]:
    """Refuse a method that the checkpoint does not have, or that does not run here."""
    method = draft.quantization
    stored = draft.model.quantization.method if draft.model.quantization else None
    chosen = "quantization" in draft.chosen
    vendors_own = chosen and method is not None and method not in QUANTIZATIONS
    if chosen and not vendors_own and not _fits(method, stored):
        yield Refuse(
            f"quantization {method or 'none'}: the weights of {draft.model.name} are"
            f" {f'{stored} quantized' if stored else 'not quantized'}.",
            f"Leave --quantization out, or choose a {method} checkpoint: bcli models list"
            if method
            else "Leave --quantization out.",
        )
        return
    if method is None or draft.model.not_loadable:
        return
    forbidden = draft.profile.hardware.forbidden_quantizations
    supported = draft.profile.quantizations_at(draft.release, draft.tensor_parallel_size)
    if method in forbidden:
        yield Refuse(
            f"quantization {method} does not run on {draft.profile.name}: {forbidden[method]}.",
            "Use an unquantized checkpoint" + (f", or {supported[0]}." if supported else "."),
        )
    elif vendors_own and method not in supported:
        yield Warn(
            f"quantization {method} is not known to bcli: whether it fits {draft.model.name} was not checked",
            "If this vLLM does not know it either, leave --quantization out.",
        )
    elif method not in supported:
        works = f"what works is {', '.join(supported)}" if supported else "none works"
        yield Refuse(
            f"quantization {method} is not known to work on {draft.profile.name} with vLLM {draft.release}: {works}.",
            "Use another checkpoint: bcli models list",
        )
    elif doubt := draft.profile.doubts_at(draft.release, draft.tensor_parallel_size).get(method):
        find_out = (
            f"Find out on this machine before you trust its answers: bcli doctor --engine --model {draft.model.name}"
        )
        yield Warn(f"quantization {method} on {draft.profile.name}: {doubt}", find_out)
    bits = draft.model.quantization.bits if draft.model.quantization else None
    if draft.profile.kind == "cpu" and method in ("gptq", "awq") and bits not in (_CPU_BITS, None):
        yield Refuse(f"{method} with {bits} bits: the CPU's kernels take {_CPU_BITS} bits only.")
    if draft.profile.kind == "cpu" and method in _WITH_AVX512 and "avx512f" not in draft.machine.cpu_flags:
        yield Refuse(
            f"quantization {method}: vLLM's kernels for it on the CPU need AVX-512, which this processor does not"
            " have.",
            "Use an unquantized checkpoint: bcli models list",
        )


def gptq_on_rocm(draft: Draft) -> Iterator[Outcome]:
    """Name GPTQ outright on ROCm: left to itself vLLM 0.5.0 turns it into gptq_marlin and then refuses that.

    It does so for a compute capability of 8.0 or more, which every gfx9 card claims. From 0.8.5 on ROCm is left out.
    """
    if (
        draft.profile.kind in ("rocm", "dcu")
        and draft.quantization == "gptq"
        and "quantization" not in draft.chosen
        and draft.release.matches("<0.8.5")
    ):
        reason = f"vLLM {draft.release} would try gptq_marlin, which ROCm lacks, unless told"
        yield Set("quantization", "gptq", reason)


def activation_order(draft: Draft) -> Iterator[Outcome]:
    """Refuse grouped GPTQ with activation order where vLLM rejects it, or ignores the order."""
    stored = draft.model.quantization
    if stored is None or stored.method != "gptq" or stored.group_size == -1 or stored.desc_act is False:
        return
    rejected = draft.release.matches(NO_ACTIVATION_ORDER)
    if stored.desc_act is None:
        if rejected:
            yield Warn(f"if this checkpoint has desc_act true, which is not known, vLLM {draft.release} rejects it")
    elif rejected:
        yield Refuse(
            f"vLLM {draft.release} rejects GPTQ groups with desc_act true, as this checkpoint has them.",
            "Use vLLM 0.31 or older, or a checkpoint with desc_act false.",
        )
    elif draft.profile.kind == "cpu":
        yield Forbid(
            "GPTQ groups with desc_act true: the CPU's kernels ignore the order, and the answers would be wrong.",
            "Use a checkpoint with desc_act false, or an unquantized one.",
        )


def _fits(method: str | None, stored: str | None) -> bool:
    """Tell whether a method reads weights as they are stored: gptq_marlin is a kernel for gptq."""
    family = method.removesuffix("_marlin") if method else None
    return family == stored or (stored is None and method in _WHILE_LOADING)
