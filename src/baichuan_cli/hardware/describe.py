"""A profile in words: its facts, and its preferences with when they hold and why."""

from __future__ import annotations

from baichuan_cli.hardware.profile import Condition, Preference, Profile, Scalar


def hardware_facts(profile: Profile) -> list[tuple[str, str]]:
    """Return what the hardware is and can do, as names and values; what is unknown is left out."""
    hardware = profile.hardware
    facts = [
        ("architectures", ", ".join(hardware.architectures)),
        *(("unsupported", f"{name}: {why}") for name, why in hardware.unsupported_architectures.items()),
        ("memory", f"{hardware.memory_gib:g} GiB a card" if hardware.memory_gib else "what the machine has"),
        ("bandwidth", f"{hardware.memory_bandwidth_gb_s:g} GB/s" if hardware.memory_bandwidth_gb_s else ""),
        ("peak", f"{hardware.peak_tflops:g} TFLOPS in 16 bits" if hardware.peak_tflops else ""),
        ("dtypes", ", ".join(hardware.dtypes)),
        ("quantizations", ", ".join(hardware.quantizations)),
        *(("forbidden", f"{name}: {why}") for name, why in hardware.forbidden_quantizations.items()),
        *(("doubtful", f"{name}: {why}") for name, why in hardware.doubtful_quantizations.items()),
        *(("must not be set", f"{name}: {why}") for name, why in profile.forbidden_environment.items()),
        ("vLLM", hardware.vllm),
    ]
    return [(name, value) for name, value in facts if value]


def preference_rows(profile: Profile) -> list[tuple[str, str, str, str]]:
    """Return rows of setting, value, when it holds, and why: always first, then each condition in its order."""
    everything = {**profile.settings, **profile.environment}
    rows = [_row(name, preference, "always") for name, preference in everything.items()]
    for condition in profile.conditions:
        when = describe_condition(condition)
        if condition.dtypes:
            rows.append(("dtypes", ", ".join(condition.dtypes), when, "instead of the hardware's list"))
        if condition.quantizations:
            rows.append(("quantizations", ", ".join(condition.quantizations), when, "in addition"))
        rows += [("doubtful", name, when, why) for name, why in condition.doubtful_quantizations.items()]
        everything = {**condition.settings, **condition.environment}
        rows += [_row(name, preference, when) for name, preference in everything.items()]
    return rows


def describe_condition(condition: Condition) -> str:
    """Return a condition's tests in words: `vLLM >=0.18, 2 cards or more`."""
    tests = [f"vLLM {condition.vllm}"] if condition.vllm else []
    if condition.min_tensor_parallel_size > 1:
        tests.append(f"{condition.min_tensor_parallel_size} cards or more")
    if condition.architectures:
        tests.append(" or ".join(condition.architectures))
    if condition.cpu_flags:
        tests.append(f"CPU with {' or '.join(condition.cpu_flags)}")
    return ", ".join(tests) or "always"


def _row(name: str, preference: Preference, when: str) -> tuple[str, str, str, str]:
    return name, _written(preference.value), when, preference.because


def _written(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
