"""The type of weights and activations."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Outcome, Refuse, Set

#: Kernels for these methods compute in float16; Marlin's and the CPU's in bfloat16 as well.
_FLOAT16_METHODS = ("gptq", "awq")
_16_BIT = ("float16", "bfloat16")


def dtype(draft: Draft) -> Iterator[Outcome]:
    """Choose a type that the hardware and the quantization's kernels compute in; float32 only where asked."""
    native = _native(draft)
    kernels = _kernel_dtypes(draft)
    if "dtype" in draft.chosen:
        if kernels and draft.dtype not in kernels:
            yield Refuse(
                f"dtype {draft.dtype}: {draft.quantization} kernels compute in {' or '.join(kernels)} here.",
                f"Use --dtype {kernels[0]}.",
            )
        elif draft.dtype not in native:
            yield Refuse(
                f"dtype {draft.dtype}: {draft.profile.title} computes in {' or '.join(native)}.",
                f"Use --dtype {_best(native)}.",
            )
    elif kernels:
        if draft.dtype not in kernels or (draft.dtype == "bfloat16" and draft.profile.kind != "cpu"):
            yield Set("dtype", kernels[0], f"{draft.quantization} kernels compute in {kernels[0]} everywhere")
    elif draft.dtype not in native:
        reason = f"the hardware computes in {' or '.join(native)}; weights are {draft.model.weights_dtype}"
        yield Set("dtype", _best(native), reason)
    elif draft.dtype == "float32" and not draft.settings["dtype"].source.startswith("profile"):
        yield Set("dtype", _best(native), "weights are float32; this is half the memory")


def _native(draft: Draft) -> tuple[str, ...]:
    """Return what the hardware computes; CUDA cards below compute capability 8.0 have no bfloat16."""
    dtypes = draft.profile.dtypes_at(draft.release, draft.tensor_parallel_size)
    capability = draft.compute_capability
    if capability is not None and capability < (8, 0):
        return tuple(each for each in dtypes if each != "bfloat16")
    return dtypes


def _kernel_dtypes(draft: Draft) -> tuple[str, ...]:
    """Return what the kernels of the quantization compute in, or nothing where any type will do.

    The CPU's kernels and Marlin's take both 16-bit types; vLLM prefers Marlin from compute capability 8.0 on.
    """
    method = draft.quantization or ""
    if method.removesuffix("_marlin") not in _FLOAT16_METHODS:
        return ()
    capability = draft.compute_capability
    marlin = method.endswith("_marlin") or (capability is not None and capability >= (8, 0))
    return _16_BIT if draft.profile.kind == "cpu" or marlin else ("float16",)


def _best(dtypes: tuple[str, ...]) -> str:
    """Return the 16-bit type to prefer; bfloat16 has float32's range, so no activation overflows."""
    return next((each for each in ("bfloat16", "float16") if each in dtypes), "float32")
