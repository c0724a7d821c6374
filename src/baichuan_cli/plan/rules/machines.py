"""One server over several machines: by vLLM itself on recent releases, by Ray on the others."""

from __future__ import annotations

from collections.abc import Iterator

from baichuan_cli.plan.draft import Draft, Forbid, Outcome, Refuse, Set
from baichuan_cli.plan.releases import SEVERAL_MACHINES

_BY_RAY = (
    "Join the machines with Ray (ray start --head on the first, ray start --address=FIRST:6379 on the others), then"
    " serve on the first with --set distributed_executor_backend=ray."
)


def machines(draft: Draft) -> Iterator[Outcome]:
    """Refuse machines that the release cannot join, and a place among them that makes no sense."""
    count, rank = draft.nnodes, draft.node_rank
    if count == 1 and rank == 0:
        return
    if not draft.release.matches(SEVERAL_MACHINES):
        yield Forbid(f"nnodes {count}: vLLM {draft.release} joins no machines by itself.", _BY_RAY)
        return
    if draft.purpose == "offline":
        yield Refuse(f"nnodes {count}: only a server can span several machines.", "Use bcli serve.")
    if draft.profile.kind == "cpu":
        yield Refuse(f"nnodes {count}: vLLM's CPU backend computes on one machine only.", "Use --replicas.")
    if rank >= count:
        yield Refuse(f"node_rank {rank} of {count} machines: they are numbered from 0.", "Give each its own number.")
    if draft.settings["master_addr"].value is None:
        yield Refuse(f"nnodes {count}: where is machine 0?", "Add --master-addr ADDRESS, the same on every machine.")
    ranks = draft.tensor_parallel_size * draft.pipeline_parallel_size
    if ranks % count:
        yield Refuse(
            f"tensor_parallel_size {draft.tensor_parallel_size} × pipeline_parallel_size"
            f" {draft.pipeline_parallel_size} = {ranks} cards cannot be shared out evenly to {count} machines.",
            f"Usual is --tensor-parallel-size CARDS-OF-A-MACHINE --pipeline-parallel-size {count}.",
        )
    backend = draft.settings["distributed_executor_backend"]
    if backend.value is None:
        yield Set("distributed_executor_backend", "mp", "nnodes is for machines without Ray")
    elif backend.value == "ray":
        yield Refuse(f"nnodes {count} and Ray are two ways of joining machines.", "Leave one of them out.")
