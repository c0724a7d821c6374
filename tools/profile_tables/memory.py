"""What each model takes of a card, or of the host where there is none, in the arithmetic of the plan."""

from __future__ import annotations

from baichuan_cli.catalog.memory import kv_bytes_per_token, weight_memory_bytes
from baichuan_cli.catalog.model import Model
from baichuan_cli.catalog.parallel import tensor_parallel_sizes
from baichuan_cli.hardware.machine import Machine
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.rules.memory import OVERHEAD_BYTES
from baichuan_cli.sizes import GIB
from profile_tables.plans import Place, Planned

_CPU_SPACE = "VLLM_CPU_KVCACHE_SPACE"


MEMORY_HEAD = ("model", "dtype", "cards", "weights", "KV cache", "needed", "there", "for the KV cache", "splits over")


def memory_lines(planned: Planned, machine: Machine) -> list[tuple[str, ...]]:
    """Return a line for each way of loading each model that vLLM can load, in the columns of `MEMORY_HEAD`."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for place, made in planned.plans.items():
        unknown = any(finding.rule == "memory" for finding in made.warnings)
        if not made.model.not_loadable and not unknown:
            line = _line(place, made, machine)
            dtypes = lines.setdefault((line[0], *line[2:]), [])
            dtypes += [line[1]] if line[1] not in dtypes else []
    return [(key[0], " or ".join(dtypes), *key[1:]) for key, dtypes in lines.items()]


def _line(place: Place, made: Plan, machine: Machine) -> list[str]:
    model, cards = made.model, _whole(made, "tensor_parallel_size")
    dtype, tokens = str(made.settings["dtype"].value), _whole(made, "max_model_len")
    weights = weight_memory_bytes(model, dtype, cards)
    kv_token = kv_bytes_per_token(model.architecture, dtype, cards)
    share = float(str(made.settings["gpu_memory_utilization"].value))
    whole = machine.devices[0].memory_bytes if machine.devices else machine.host_memory_bytes
    assert whole is not None
    needed, there = weights + tokens * kv_token + OVERHEAD_BYTES, share * whole
    if machine.devices:
        room = max(0, int(there - weights - OVERHEAD_BYTES) // kv_token)
        last = f"{room:,} tokens = {room / tokens:.1f} × {tokens:,}"
    else:
        given = made.environment.get(_CPU_SPACE)
        last = f"{given.value} GiB" if given else "–"
    return [
        place.model,
        dtype,
        str(cards),
        _gib(weights),
        _gib(tokens * kv_token),
        _gib(needed),
        f"{_gib(there)}{'' if needed <= there else ', too little'}",
        last,
        _splits(model),
    ]


def _splits(model: Model) -> str:
    sizes = tensor_parallel_sizes(model)
    return "1 only" if sizes == (1,) else ", ".join(map(str, sizes))


def _whole(made: Plan, setting: str) -> int:
    return int(str(made.settings[setting].value))


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
