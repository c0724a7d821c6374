"""What the pages plan for: models, machines with the releases that they have, and what a person may ask for there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from baichuan_cli.catalog.catalogue import load_catalogue
from baichuan_cli.catalog.checkpoint import read_checkpoint
from baichuan_cli.catalog.model import Model, Quantization
from baichuan_cli.demo import demo_path
from baichuan_cli.hardware.machine import Device, Machine
from baichuan_cli.sizes import GIB

#: No known repository holds one, but people make them.
AWQ = "baichuan2-7b-chat as AWQ"


@dataclass(frozen=True, slots=True)
class Question:
    """What a person asks for beyond a model."""

    model: str
    release: str
    asked: Mapping[str, object] = field(default_factory=dict)  # names of vLLM's EngineArgs
    exported: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """One machine, and the releases of vLLM that run on it."""

    title: str
    machine: Machine
    releases: tuple[str, ...]
    questions: tuple[Question, ...] = ()


def models() -> dict[str, Model]:
    """Return the models by what the tables call them; those that bcli plans for alike share a line."""
    catalogue = load_catalogue()
    all_models = [replace(read_checkpoint(demo_path(demo.name)).model, name=demo.name) for demo in catalogue.bundled]
    all_models += [catalogue.model(entry) for entry in catalogue.entries]
    chat = next(model for model in all_models if model.name == "baichuan2-7b-chat-gptq-int4")
    all_models.append(replace(chat, name=AWQ, quantization=Quantization("awq", bits=4, group_size=128)))
    alike: dict[object, list[Model]] = {}
    for model in all_models:
        # Everything else decides how tokens are chosen, and nothing about the engine.
        stored = (model.weights_dtype, model.weight_format, model.weight_bytes, model.quantization, model.not_loadable)
        alike.setdefault((model.architecture, *stored), []).append(model)
    return {", ".join(each.name for each in members): members[0] for members in alike.values()}


def _cards(count: int, name: str, architecture: str, gib: float, python: tuple[int, int]) -> Machine:
    device = Device(name, architecture, int(gib * GIB))
    return Machine(
        devices=(device,) * count,
        host_memory_bytes=512 * GIB,
        cpu_cores=64,
        visible_cores=64,
        cpu_flags=frozenset({"avx2", "avx512f"}),
        python=python,
    )


def _dcu(count: int, name: str, architecture: str, gib: float) -> Machine:
    return _cards(count, name, architecture, gib, (3, 10))  # the Python of the vendor's images


def _cpu(gib: int, *flags: str) -> Machine:
    return Machine(
        devices=(),
        host_memory_bytes=gib * GIB,
        cpu_cores=16,
        visible_cores=16,
        cpu_flags=frozenset(flags),
        python=(3, 12),
    )


#: The releases where something changes for bcli, and some between them.
_UPSTREAM = (
    *("0.5.0", "0.5.5", "0.6.6", "0.7.3", "0.8.5", "0.9.2", "0.10.2", "0.11.0", "0.12.0", "0.15.1", "0.18.1"),
    *("0.23.0", "0.24.0", "0.25.1", "0.26.0", "0.28.0", "0.30.0", "0.32.0", "0.33.0"),
)
#: Those of the vendor's images, then of its plugin (see the facts in profiles/k100-ai.yaml).
_BW = ("0.8.5", "0.9.2", "0.11.0", "0.15.1", "0.18.1", "0.21.0+das.dtk2604", "0.25.1", "0.28.1")
_K100_AI = ("0.5.0+das.opt4.dtk24043", "0.6.2+das.opt3.dtk2504", "0.7.2", *_BW)

_GPTQ_13B = "baichuan2-13b-chat-gptq"
_13B = "baichuan2-13b-chat"
_7B = "baichuan2-7b-chat"
_TWO: Mapping[str, object] = {"tensor_parallel_size": 2}
_TRITON = {"VLLM_USE_TRITON_FLASH_ATTN": "1"}

_LIKE_THE_REFERENCE_README = (
    Question(_GPTQ_13B, "0.5.0", _TWO),
    Question("baichuan2-13b-chat-gptq-4bit-32g", "0.5.0", _TWO),
    Question(_7B, "0.5.0", {"dtype": "bfloat16"}),
    Question(_7B, "0.5.0", {"enforce_eager": False}),
    Question(_13B, "0.5.0", exported=_TRITON),
    Question(_7B, "0.5.0", exported={"HSA_OVERRIDE_GFX_VERSION": "9.0.6"}),
    Question(_7B, "0.8.5"),
)

#: By profile: the machines, in the order of the page.
SCENES: Mapping[str, tuple[Scene, ...]] = {
    "k100": (
        Scene("One K100", _dcu(1, "K100", "gfx926", 64), ("0.5.0",)),
        Scene("Two K100", _dcu(2, "K100", "gfx926", 64), ("0.5.0",), _LIKE_THE_REFERENCE_README),
    ),
    "z100l": (
        Scene("One Z100L", _dcu(1, "Z100L", "gfx906", 32), ("0.5.0",)),
        Scene(
            "Eight Z100L",
            _dcu(8, "Z100L", "gfx906", 32),
            ("0.5.0",),
            (
                Question(_13B, "0.5.0", {"tensor_parallel_size": 1}),
                Question(_13B, "0.5.0", {"tensor_parallel_size": 1, "max_model_len": 1792}),
                Question(_13B, "0.5.0", {"max_model_len": 1792}),
                *_LIKE_THE_REFERENCE_README,
            ),
        ),
    ),
    "k100-ai": (
        Scene(
            "Eight K100_AI",
            _dcu(8, "K100_AI", "gfx928", 65520 / 1024),
            _K100_AI,
            (
                Question(_GPTQ_13B, _K100_AI[0], _TWO),
                Question(_7B, _K100_AI[0], {"dtype": "bfloat16"}),
                Question(_7B, _K100_AI[0], {"quantization": "fp8"}),
                Question(_13B, _K100_AI[0], _TWO),
                Question(_13B, "0.8.5", _TWO),
                Question(_13B, "0.18.1", _TWO),
                Question(_13B, "0.8.5", exported=_TRITON),
                Question(_7B, "0.21.0", {"attention_backend": "FLASH_ATTN"}),
                Question(_7B, "0.21.0", exported={"VLLM_PLUGINS": "hcu,hcu_model,hcu_ops"}),
                Question(_7B, "0.25.1", exported={"VLLM_PLUGINS": "hcu,hcu_model,hcu_ops"}),
                Question(_7B, "0.25.1", exported={"VLLM_PLUGINS": "hcu,hcu_model,hcu_ops,baichuan"}),
                Question(_7B, "0.25.1", exported={"VLLM_PLUGINS": "baichuan"}),
            ),
        ),
    ),
    "bw1000": (
        Scene(
            "Eight BW1000",
            _dcu(8, "BW1000", "gfx936", 64),
            _BW,
            (
                Question(_7B, "0.5.0"),
                Question(_GPTQ_13B, "0.18.1", _TWO),
                Question(_13B, "0.8.5", _TWO),
                Question(_13B, "0.18.1", _TWO),
                Question(_13B, "0.18.1", {"attention_backend": "FLASH_ATTN_CUSTOM"}),
                Question(_7B, "0.18.1", {"quantization": "fp8"}),
                Question(_7B, "0.25.1", exported={"VLLM_PLUGINS": "hcu,hcu_model,hcu_ops"}),
            ),
        ),
    ),
    "rocm": (
        Scene(
            "Eight MI300X, 192 GB",
            _cards(8, "AMD Instinct MI300X", "gfx942", 192, (3, 12)),
            _UPSTREAM,
            (
                Question(_GPTQ_13B, "0.5.0", _TWO),
                Question(_13B, "0.8.5", _TWO),
                Question(_13B, "0.32.0", {"tensor_parallel_size": 8}),
                Question(_13B, "0.8.5", exported=_TRITON),
                Question(_7B, "0.32.0", {"quantization": "fp8"}),
                Question(_7B, "0.32.0", {"attention_backend": "ROCM_AITER_FA"}),
            ),
        ),
        Scene("Two RX 7900 XTX, 24 GB", _cards(2, "Radeon RX 7900 XTX", "gfx1100", 24, (3, 12)), _UPSTREAM),
        Scene("One MI50, 32 GB", _cards(1, "AMD Instinct MI50", "gfx906", 32, (3, 12)), ("0.5.0", "0.32.0")),
    ),
    "cuda": (
        Scene(
            "Eight H100, 80 GB",
            _cards(8, "NVIDIA H100 80GB HBM3", "sm_90", 79.6, (3, 12)),
            _UPSTREAM,
            (
                Question(_GPTQ_13B, "0.32.0", _TWO),
                Question(_13B, "0.8.5", _TWO),
                Question(_13B, "0.32.0", {"attention_backend": "FLASHINFER"}),
                Question(_13B, "0.32.0", {"attention_backend": "FLASH_ATTN"}),
                Question(_13B, "0.24.0", {"kv_cache_dtype": "fp8"}),
                Question(_7B, "0.32.0", {"quantization": "fp8"}),
            ),
        ),
        Scene("One A100, 40 GB", _cards(1, "NVIDIA A100-PCIE-40GB", "sm_80", 39.4, (3, 12)), _UPSTREAM),
        Scene(
            "Two T4, 16 GB",
            _cards(2, "Tesla T4", "sm_75", 14.6, (3, 12)),
            _UPSTREAM,
            (Question(_7B, "0.32.0", {"dtype": "bfloat16"}), Question(_7B, "0.32.0", {"quantization": "fp8"})),
        ),
        Scene("One B200, 180 GB", _cards(1, "NVIDIA B200", "sm_100", 178, (3, 12)), _UPSTREAM[8:]),
    ),
    "cpu": (
        Scene(
            "64 GiB, with AVX-512 and bfloat16",
            _cpu(64, "avx2", "avx512f", "avx512_bf16", "amx_bf16"),
            _UPSTREAM,
            (
                Question(_7B, "0.32.0", _TWO),
                Question(_GPTQ_13B, "0.31.0", _TWO),
                Question(_7B, "0.32.0", {"dtype": "float32"}),
                Question(_7B, "0.32.0", exported={"VLLM_CPU_KVCACHE_SPACE": "1"}),
            ),
        ),
        Scene("24 GiB, AVX2 alone", _cpu(24, "avx2"), _UPSTREAM),
    ),
}
