"""The rules, in the order in which they are followed.

Each may rely on what those before it decided: the dtype on the quantization, the memory on everything.
"""

from __future__ import annotations

from baichuan_cli.plan.draft import Rule
from baichuan_cli.plan.rules.attention import (
    alibi_backend,
    alibi_kv_cache,
    alibi_on_cuda,
    alibi_on_dcu,
    alibi_on_rocm,
    attention,
)
from baichuan_cli.plan.rules.checkpoint import in_tree_reading, loadable, remote_code
from baichuan_cli.plan.rules.context import context_length
from baichuan_cli.plan.rules.cpu_server import cpu_preload, cpu_threads
from baichuan_cli.plan.rules.dtype import dtype
from baichuan_cli.plan.rules.hardware import architecture, cpu_kernels, environment
from baichuan_cli.plan.rules.machines import machines
from baichuan_cli.plan.rules.memory import cpu_memory, memory
from baichuan_cli.plan.rules.parallel import cards, cpu_ranks, pipeline_parallel, tensor_parallel, whole_groups
from baichuan_cli.plan.rules.plugins import ALLOWED_PLUGINS, plugin_allowed
from baichuan_cli.plan.rules.privacy import privacy
from baichuan_cli.plan.rules.quantization import activation_order, gptq_on_rocm, quantization
from baichuan_cli.plan.rules.release import hardware_release, known_release, pinned, python, unsupported_setting
from baichuan_cli.plan.rules.start import compile_caches, fast_start

RULES: tuple[Rule, ...] = (
    known_release,
    python,
    hardware_release,
    architecture,
    cpu_kernels,
    environment,
    plugin_allowed,
    loadable,
    in_tree_reading,
    remote_code,
    machines,
    unsupported_setting,
    pinned,
    fast_start,
    compile_caches,
    quantization,
    gptq_on_rocm,
    activation_order,
    dtype,
    context_length,
    whole_groups,
    tensor_parallel,
    pipeline_parallel,
    cpu_ranks,
    cards,
    attention,
    alibi_backend,
    alibi_on_cuda,
    alibi_on_rocm,
    alibi_on_dcu,
    alibi_kv_cache,
    memory,
    cpu_memory,
    cpu_threads,
    cpu_preload,
    privacy,
)

#: Environment variables that a rule sets or reads; a person's own value of one is part of the plan.
WATCHED_VARIABLES = (
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN",
    "LD_PRELOAD",
    "OMP_NUM_THREADS",
    "VLLM_CPU_KVCACHE_SPACE",
    "VLLM_CPU_OMP_THREADS_BIND",
    ALLOWED_PLUGINS,
    "VLLM_USE_TRITON_FLASH_ATTN",
)
