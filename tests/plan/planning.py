"""Models, profiles and machines that the plan's tests share: the real shapes, and hardware as the facts have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.model import Architecture, Model
from baichuan_cli.hardware.load import load_profile
from baichuan_cli.hardware.machine import Device, Machine
from baichuan_cli.hardware.profile import Profile
from baichuan_cli.plan.draft import NORMAL_START, Purpose, Start
from baichuan_cli.plan.layers import from_command_line
from baichuan_cli.plan.model import Layer, Plan
from baichuan_cli.plan.release import Release
from baichuan_cli.plan.resolve import resolve
from baichuan_cli.sizes import GIB

DEMO = Model(
    name="demo",
    architecture=Architecture(
        class_name="BaiChuanForCausalLM",
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=6,
        vocab_size=3000,
        position_embedding="rope",
        norm_head=False,
        context_length=1024,
    ),
    weights_dtype="bfloat16",
    weight_format="safetensors",
    weight_bytes=5_000_000,
    chat_family="baichuan2",
    generation_defaults={"do_sample": False, "max_new_tokens": 128},
    path=Path("/models/demo"),
)
DEMO_ALIBI = replace(
    DEMO,
    name="demo-alibi",
    architecture=replace(DEMO.architecture, class_name="BaichuanForCausalLM", position_embedding="alibi"),
)

CPU = Machine(
    devices=(),
    host_memory_bytes=24 * GIB,
    cpu_cores=2,
    cpu_flags=frozenset({"avx512f", "avx512_bf16", "amx_bf16"}),
    python=(3, 11),
)


def cards(architecture: str, count: int = 1, memory_gib: float | None = 80) -> Machine:
    """Return a machine with some equal cards."""
    device = Device(architecture, architecture, None if memory_gib is None else int(memory_gib * GIB))
    return replace(CPU, devices=(device,) * count)


def catalogue_model(name: str) -> Model:
    """Return a model by a name that the catalogue knows, or one of the demos."""
    if demo := {"demo": DEMO, "demo-alibi": DEMO_ALIBI}.get(name):
        return demo
    catalogue = load_catalogue()
    return catalogue.model(catalogue.get(name))  # type: ignore[arg-type]  # the demos are answered above


@cache
def shipped_profile(name: str) -> Profile:
    """Return one of the seven profiles."""
    return load_profile(name, user_dir=Path("/nowhere"))


def plan(
    model: str | Model = "demo",
    profile: str = "cpu",
    release: str = "0.32.0",
    machine: Machine = CPU,
    *,
    force: bool = False,
    purpose: Purpose = "offline",
    layers: Sequence[Layer] = (),
    start: Start = NORMAL_START,
    **asked: object,
) -> Plan:
    """Plan for names, as `bcli` would: `plan("demo", "cpu", dtype="float16")`."""
    return resolve(
        model if isinstance(model, Model) else catalogue_model(model),
        shipped_profile(profile),
        Release.parse(release),
        machine,
        (*layers, *from_command_line(asked)),
        force=force,
        purpose=purpose,
        start=start,
    )
