"""Splitting a model over cards: by layers' width (tensor parallel) and by layers (pipeline parallel)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from baichuan_cli.catalog.memory import USUAL_GROUP_SIZE
from baichuan_cli.catalog.model import Model
from baichuan_cli.catalog.parallel import splits, tensor_parallel_sizes
from baichuan_cli.plan.draft import Draft, Forbid, Outcome, Refuse, Warn
from baichuan_cli.plan.releases import BROKEN_TENSOR_PARALLEL, CPU_RANKS, PIPELINE_PARALLEL
from baichuan_cli.sizes import GIB

#: Cards in one machine, where the plan is for a machine that is not here.
_USUAL_CARDS = 8


def whole_groups(draft: Draft) -> Iterator[Outcome]:
    """Refuse quantization groups that do not fill a layer's inputs: a quantizer may leave the last one short.

    vLLM itself raises, but on the CPU.
    """
    quantization = draft.model.quantization
    if splits(draft.model, 1) or quantization is None:
        return
    name, width, group = _cut_group(draft.model, 1)
    refusal = Forbid if draft.profile.kind == "cpu" else Refuse
    yield refusal(
        f"{width} ({name}) is no multiple of the {quantization.method.upper()} group size {group}, and vLLM loads"
        " whole groups only.",
        "Use another checkpoint: bcli models list",
    )


def tensor_parallel(draft: Draft) -> Iterator[Outcome]:
    """Refuse a number of cards that cannot share the model out evenly.

    vLLM itself raises, but for one case: on the CPU a GPTQ shard that ends within a group is silently wrong.
    """
    size = draft.tensor_parallel_size
    if size == 1 or not splits(draft.model, 1):
        return
    if draft.release.matches(BROKEN_TENSOR_PARALLEL):
        yield Forbid(
            f"tensor_parallel_size {size}: vLLM {draft.release} splits the output layer wrongly.",
            "Use --tensor-parallel-size 1, or vLLM 0.9.1 or later.",
        )
    model = draft.model
    refusal = Forbid if draft.profile.kind == "cpu" and _is_grouped(model) else Refuse
    if not splits(model, size):
        yield refusal(
            f"tensor_parallel_size {size} cannot split this checkpoint.\n{misfit(model, size)}",
            f"Use --tensor-parallel-size {' or '.join(map(str, tensor_parallel_sizes(model)))}{_card_note(draft)}.",
        )
    elif _is_grouped(model) and model.quantization and model.quantization.group_size is None:
        yield Warn(
            f"the {model.quantization.method} group size is not known; {USUAL_GROUP_SIZE} is assumed, and"
            f" tensor_parallel_size {size} fits that"
        )


def misfit(model: Model, size: int) -> str:
    """Return the arithmetic that keeps a model from being split over a number of cards."""
    architecture = model.architecture
    sizes = tensor_parallel_sizes(model)
    works = "only 1 works" if sizes == (1,) else f"only {_listed(sizes)} work"
    if architecture.num_attention_heads % size:
        return f"{architecture.num_attention_heads} attention heads ÷ {size} is no whole number; {works}."
    for name, width in _split_widths(model).items():
        if width % size:
            return f"{width} ({name}) ÷ {size} is no whole number; {works}."
    assert model.quantization is not None
    name, width, group = _cut_group(model, size)
    return (
        f"{width} ({name}) ÷ {size} = {width // size} is no multiple of the {model.quantization.method.upper()}"
        f" group size {group}; {width} = {width // group} × {group}, so {works}."
    )


def _split_widths(model: Model) -> dict[str, int]:
    """Return the input widths of the layers that are split by their inputs, by their names in config.json."""
    architecture = model.architecture
    return {"intermediate_size": architecture.intermediate_size, "hidden_size": architecture.hidden_size}


def _cut_group(model: Model, size: int) -> tuple[str, int, int]:
    """Return the first width whose shards end within a quantization group: its name, the width, the group's size."""
    assert model.quantization is not None
    group = model.quantization.group_size or USUAL_GROUP_SIZE
    widths = _split_widths(model).items()
    return next((name, width, group) for name, width in widths if width // size % group)


def _card_note(draft: Draft) -> str:
    """Return how the checkpoint compares with one card, where that is known and good news."""
    if draft.card_memory is None or draft.model.weight_bytes > draft.card_memory:
        return ""
    return f" ({draft.model.weight_bytes / 1e9:.1f} GB fits the card's {draft.card_memory / GIB:.3g} GiB)"


def possible_sizes(draft: Draft) -> tuple[int, ...]:
    """Return the tensor-parallel sizes that bcli may choose by itself, smallest first."""
    if draft.release.matches(BROKEN_TENSOR_PARALLEL) or draft.profile.kind == "cpu":
        return (1,)
    most = max(1, len(draft.cards) * draft.nnodes // draft.pipeline_parallel_size) if draft.cards else _USUAL_CARDS
    return tuple(size for size in tensor_parallel_sizes(draft.model) if size <= most) or (1,)


def pipeline_parallel(draft: Draft) -> Iterator[Outcome]:
    """Refuse to share out layers where the release or the CPU backend cannot."""
    size = draft.pipeline_parallel_size
    if size == 1:
        return
    layers = draft.model.architecture.num_hidden_layers
    if not draft.release.matches(PIPELINE_PARALLEL):
        yield Refuse(
            f"pipeline_parallel_size {size}: vLLM has it for Baichuan from 0.6.3 on, and this is {draft.release}.",
            "Use --tensor-parallel-size instead.",
        )
    if size > layers:
        yield Refuse(f"pipeline_parallel_size {size} is more than the {layers} layers of {draft.model.name}.")
    if draft.profile.kind == "cpu" and draft.settings["enforce_eager"].value:
        yield Refuse(
            f"pipeline_parallel_size {size}: vLLM's CPU backend fails with it in eager mode.",
            "Add --no-enforce-eager.",
        )


def cpu_ranks(draft: Draft) -> Iterator[Outcome]:
    """Refuse ranks that the CPU backend lacks, and more than NUMA nodes unless the person names the cores of each."""
    if draft.profile.kind != "cpu":
        return
    ranks = draft.tensor_parallel_size * draft.pipeline_parallel_size
    nodes = draft.machine.numa_nodes
    if ranks > 1 and not draft.release.matches(CPU_RANKS):
        yield Refuse(
            f"{ranks} ranks: vLLM's CPU backend has a single one before 0.5.4, and this is {draft.release}.",
            "Use --tensor-parallel-size 1.",
        )
    elif ranks > nodes and "VLLM_CPU_OMP_THREADS_BIND" not in draft.exported:
        yield Refuse(
            f"{ranks} ranks on {nodes} NUMA node{'s' if nodes > 1 else ''}: vLLM gives each rank a node of its own.",
            f"Name the cores of each rank: export VLLM_CPU_OMP_THREADS_BIND='{_core_groups(draft, ranks)}'",
        )


def _core_groups(draft: Draft, ranks: int) -> str:
    """Return the cores shared out evenly in vLLM's notation; at least one each, even where there are too few."""
    share = max(1, draft.machine.cpu_cores // ranks)
    groups = [(rank * share, rank * share + share - 1) for rank in range(ranks)]
    return "|".join(str(first) if first == last else f"{first}-{last}" for first, last in groups)


def cards(draft: Draft) -> Iterator[Outcome]:
    """Refuse more cards than there are; of a server that spans machines each has its share."""
    ranks = draft.tensor_parallel_size * draft.pipeline_parallel_size
    wanted = math.ceil(ranks / draft.nnodes)
    present = len(draft.cards)
    if not present or wanted <= present:
        return
    if draft.settings["distributed_executor_backend"].value == "ray":
        yield Warn(f"{wanted} cards are wanted, and this machine has {present}: the others must be in Ray's cluster")
        return
    shared = f" on {draft.nnodes} machines" if draft.nnodes > 1 else ""
    yield Refuse(
        f"tensor_parallel_size {draft.tensor_parallel_size} × pipeline_parallel_size"
        f" {draft.pipeline_parallel_size} = {ranks} cards{shared}, and this machine has {present}.",
        _fewer_cards(draft, present * draft.nnodes),
    )


def _fewer_cards(draft: Draft, present: int) -> str:
    if draft.pipeline_parallel_size > present:
        return f"Use --pipeline-parallel-size {present} --tensor-parallel-size 1."
    return f"Use --tensor-parallel-size {max(possible_sizes(draft))}."


def _is_grouped(model: Model) -> bool:
    return model.quantization is not None and model.quantization.grouped


def _listed(sizes: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, sizes[:-1]))} and {sizes[-1]}"
