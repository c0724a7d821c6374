"""What differs between vLLM releases where bcli touches them.

Each entry is a range of releases in PEP 440's notation. The boundaries were read from the sources of 57 releases
between 0.5.0 and 0.33.0; 0.5.0, 0.8.5, 0.10.2, 0.16.0, 0.23.0, 0.26.0, 0.28.0, 0.30.0 and 0.32.0 were run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from baichuan_cli.plan.release import Release
from baichuan_cli.plan.settings import ENGINE

if TYPE_CHECKING:
    from baichuan_cli.hardware.profile import Kind

#: Releases that bcli knows.
OLDEST = "0.5.0"
NEWEST = "0.33"
KNOWN = ">=0.5.0,<0.34"
NOT_TOO_OLD = f">={OLDEST}"  # "<0.5.0" would leave out the release candidates of 0.5.0

#: `vllm.general_plugins` entry points are loaded from here on.
PLUGINS = ">=0.5.5"

#: Baichuan is part of vLLM; later releases get it from bcli's plugin.
BAICHUAN_IN_TREE = "<0.25"

#: The loader of `lm_head` ignores the tensor-parallel shard: wrong logits.
BROKEN_TENSOR_PARALLEL = ">=0.8.3,<0.9.0.1"

#: Baichuan's class supports pipeline parallelism.
PIPELINE_PARALLEL = ">=0.6.3"

#: The CPU backend has several ranks (vLLM's pull request 6125); 0.5.0 was seen to refuse them.
CPU_RANKS = ">=0.5.4"

#: Grouped GPTQ with activation order is rejected (read in 0.32.0 and 0.33.0).
NO_ACTIVATION_ORDER = ">=0.32"

#: `--no-enable-prefix-caching` and its like are understood; before, these features are off unless asked for.
NEGATED_FLAGS = ">=0.8"

#: The attention backend is an argument; before, it is the variable VLLM_ATTENTION_BACKEND.
ATTENTION_CONFIG = ">=0.14"

#: What computes linear layers is an argument (read in 0.22.1, not in 0.21.0).
LINEAR_BACKEND = ">=0.22"

#: `--generation-config` names a folder with sampling defaults and what ends an answer.
GENERATION_CONFIG = ">=0.6.6"

#: The server writes every prompt into its log unless `--disable-log-requests` is given; later ones only when asked to.
LOGS_PROMPTS = "<0.10.1"

#: The server starts its engine in a process of its own, where nothing is registered, unless told not to.
SPLIT_WITHOUT_PLUGINS = ">=0.5.4,<0.5.5"

#: A server can span several machines by itself (`--nnodes`, read in 0.11.1); before, Ray joins them.
SEVERAL_MACHINES = ">=0.11.1"

#: `compilation_config` can keep the graphs of decoding and leave compiling out (`mode`, `cudagraph_mode`).
GRAPHS_ALONE = ">=0.12"

#: Engine arguments that some releases lack. An argument that is not here exists from 0.5.0 to 0.33.0.
_LIMITED: Mapping[str, str] = {
    "swap_space": "<0.18",
    "attention_config": ATTENTION_CONFIG,
    "linear_backend": LINEAR_BACKEND,
    **dict.fromkeys(("nnodes", "node_rank", "master_addr", "master_port"), SEVERAL_MACHINES),
    "compilation_config": GRAPHS_ALONE,
}

#: Rendered as `attention_config` or as an environment variable, so never an argument of its own.
_NO_ARGUMENT = frozenset({"attention_backend"})


def newest_within(limits: str) -> str:
    """Return the newest line of releases that bcli knows in a range, such as 0.5; the newest of all where none is."""
    newest, oldest = (int(release.split(".")[1]) for release in (NEWEST, OLDEST))
    lines = (f"0.{minor}" for minor in range(newest, oldest - 1, -1))
    return next((line for line in lines if Release.parse(line).matches(limits)), NEWEST)


def takes_generation_config(release: Release) -> bool:
    """Tell whether a server takes sampling defaults: vLLM itself, or the module that bcli starts it with."""
    return release.matches(GENERATION_CONFIG) or not release.matches(PLUGINS)


def engine_arguments(release: Release) -> frozenset[str]:
    """Return the arguments of `vllm.LLM` that bcli may pass on a release."""
    known = (frozenset(ENGINE) | {"attention_config", "compilation_config", "model"}) - _NO_ARGUMENT
    return frozenset(name for name in known if release.matches(_LIMITED.get(name, "")))


def removed_setting(name: str, release: Release) -> str:
    """Return why a setting does not exist on a release, or an empty text where it does."""
    limits = _LIMITED.get(name, "")
    return "" if release.matches(limits) else f"vLLM has {name} only in releases {limits}"


def required_python(release: Release) -> tuple[int, int]:
    """Return the oldest Python that a release runs on."""
    return (3, 11) if release.matches(">=0.32") else (3, 10)


def triton_attention(release: Release) -> str:
    """Return the name of the Triton attention backend."""
    return "TRITON_ATTN_VLLM_V1" if release.matches("<0.11") else "TRITON_ATTN"


def attention_selectable(release: Release, kind: Kind) -> bool:
    """Tell whether the attention backend can be chosen: ROCm decides by itself before 0.9, the CPU always."""
    return kind == "cuda" or (kind in ("rocm", "dcu") and release.matches(">=0.9"))
