"""What each of several equal servers on one machine has for itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from baichuan_cli.hardware.machine import Machine
from baichuan_cli.hardware.profile import Profile
from baichuan_cli.plan.model import Finding, Plan, Setting
from baichuan_cli.plan.serving import ServeOptions

#: Variables with which a person gives cores or threads to one server.
_ONE_SERVERS = ("VLLM_CPU_OMP_THREADS_BIND", "OMP_NUM_THREADS")


def for_replica(
    plan: Plan, profile: Profile, machine: Machine, exported: Mapping[str, str], part: int, parts: int
) -> Plan:
    """Return the plan with the cards of one replica in its environment, and what speaks against so many.

    Args:
        plan: made for this replica's share of the host.
        profile: tells cards from none.
        machine: the whole machine.
        exported: the person's environment, which may leave only some cards visible.
        part: number of the replica, from 0.
        parts: how many there are.
    """
    plan = replace(plan, findings=(*plan.findings, *_findings(plan, profile, machine, exported, parts)))
    if profile.kind == "cpu":
        return plan
    name, visible = _visible_cards(profile, exported)
    each = _cards_each(plan)
    wanted = range(part * each, (part + 1) * each)
    cards = [visible[index] if index < len(visible) else str(index) for index in wanted]
    reason = f"card{'s' if each > 1 else ''} of replica {part + 1}"
    return replace(plan, environment={**plan.environment, name: Setting(",".join(cards), "--replicas", reason)})


def router_findings(plan: Plan, options: ServeOptions) -> Iterator[Finding]:
    """Refuse what a router in front of replicas cannot do."""
    if options.ssl_certfile:
        yield Finding(
            "refusal", "replicas", "--replicas: vllm-router speaks no TLS.", "Put a proxy with TLS in front of it."
        )
    if not options.private and not options.insecure:
        yield Finding(
            "refusal",
            "replicas",
            f"--replicas on {options.host}: vllm-router lets everybody who reaches it add and remove servers,"
            " and a server that is added gets prompts and keys.",
            "Serve on 127.0.0.1 and put a proxy in front that lets only /v1 by.\n"
            "Or say that it may be open: --insecure",
        )
    if plan.settings["nnodes"].value not in (None, 1):
        yield Finding("refusal", "replicas", "--replicas are for one machine, --nnodes for several.", "Choose one.")


def _findings(
    plan: Plan, profile: Profile, machine: Machine, exported: Mapping[str, str], parts: int
) -> Iterator[Finding]:
    if profile.kind == "cpu":
        if parts > machine.cpu_cores:
            yield Finding(
                "refusal", "replicas", f"replicas {parts}: this machine has {machine.cpu_cores} cores.", forceable=True
            )
        for name in _ONE_SERVERS:
            if name in exported:
                yield Finding(
                    "refusal",
                    "replicas",
                    f"{name}={exported[name]} is set: every replica would take the same cores.",
                    f"unset {name}",
                )
    elif machine.devices and parts * _cards_each(plan) > len(machine.devices):
        yield Finding(
            "refusal",
            "replicas",
            f"{parts} replicas × {_cards_each(plan)} = {parts * _cards_each(plan)} cards, and this machine has"
            f" {len(machine.devices)}.",
            f"Use --replicas {len(machine.devices) // _cards_each(plan) or 1}.",
            forceable=True,
        )


def _cards_each(plan: Plan) -> int:
    sizes = (plan.settings[name].value for name in ("tensor_parallel_size", "pipeline_parallel_size"))
    tensor, pipeline = (int(str(size)) for size in sizes)
    return tensor * pipeline


def _visible_cards(profile: Profile, exported: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the variable that chooses cards, and those that the person has left visible with it."""
    names = ("CUDA_VISIBLE_DEVICES",) if profile.kind == "cuda" else ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")
    name = next((each for each in names if each in exported), names[0])
    return name, [each.strip() for each in exported.get(name, "").split(",") if each.strip()]
