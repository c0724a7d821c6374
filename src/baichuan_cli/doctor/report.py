"""One text about this machine and its software, to attach to a question."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from baichuan_cli import __version__
from baichuan_cli.doctor.black_out import SECRET, is_secret
from baichuan_cli.doctor.checks.versions import CORE
from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.verdict import Verdict
from baichuan_cli.plan.explain import explain
from baichuan_cli.sizes import gibibytes

TITLE = "bcli doctor report"

_PACKAGES = frozenset(
    (
        *CORE,
        *("torchvision", "torchaudio", "torchcodec", "xformers", "flash-attn", "lmslim", "gptq-kernels", "vllm-hcu"),
        *("outlines", "pyairports", "ray", "safetensors", "sentencepiece", "accelerate", "aiohttp", "typer", "rich"),
        *("fastapi", "starlette", "uvicorn", "prometheus-client", "gradio", "modelscope", "packaging", "protobuf"),
    )
)
#: Variables that change what vLLM, the cards' runtimes and the hubs do.
_VARIABLES = re.compile(
    r"(?:VLLM|BCLI|CUDA|HIP|ROCR|HSA|ROCM|AMD|NCCL|RCCL|GLOO|PYTORCH|TORCH|TRITON|OMP|KMP|MKL|HF|HUGGINGFACE|MODELSCOPE"
    r"|TRANSFORMERS|RAY|LLAMA|LMSLIM|FLASH_ATTENTION|ALLREDUCE|SENDRECV)_\w+"
    r"|LD_LIBRARY_PATH|LD_PRELOAD|PYTHONPATH|PYTHONNOUSERSITE|VIRTUAL_ENV|CONDA_PREFIX|LANG|LC_ALL"
    r"|(?:https?|all|no)_proxy",
    re.IGNORECASE,
)


def write_report(facts: Facts, verdicts: Sequence[Verdict], environment: Mapping[str, str]) -> str:
    """Return the report as it is, before anything is blacked out.

    Args:
        facts: what was looked at.
        verdicts: what was said about it.
        environment: the person's variables; those that matter are shown.
    """
    sections = {
        "Verdicts": _verdicts(verdicts),
        "Cards": (f"{step.looked_at}: {step.saw}" for step in facts.detection.steps),
        "Reaching the cards": _access(facts),
        "Host": _host(facts),
        "Packages": _packages(facts),
        "Trial imports": _imports(facts),
        "Environment variables": _variables(environment),
        "Plan for the model that is used when none is named": _plan(facts),
    }
    parts = [f"{TITLE} · bcli {__version__}"]
    parts += [f"== {title}\n" + "\n".join(lines) for title, lines in sections.items()]
    return "\n\n".join(parts) + "\n"


def _verdicts(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        yield f"{verdict.status:8}{verdict.check:17}{_continued(verdict.says, 25)}"
        if verdict.fix:
            yield f"{'':25}-> {_continued(verdict.fix, 28)}"


def _access(facts: Facts) -> Iterator[str]:
    access = facts.access
    yield f"kernel driver: {access.driver or 'none, or part of the kernel'}"
    for folder, version in access.toolkits.items():
        yield f"{folder}: {version or 'of unknown version'}"
    yield f"/opt/hyhal: {'there' if access.hyhal else 'not there'}"
    for file in access.files:
        yield f"{file.path}: group {file.group or 'unknown'}, {'may' if file.may_open else 'may not'} be opened"
    device_groups = {file.group for file in access.files} | {"video", "render"}
    yield f"this user's groups that matter: {', '.join(sorted(device_groups & set(access.groups))) or 'none'}"


def _host(facts: Facts) -> Iterator[str]:
    host, machine = facts.host, facts.detection.machine
    yield f"{host.operating_system} {host.kernel} {host.processor}, {host.distribution or 'unknown distribution'}"
    yield f"container: {host.container or 'none'}"
    yield f"cores: {machine.cpu_cores} of {machine.visible_cores}, {machine.numa_nodes} NUMA nodes"
    yield f"memory: {gibibytes(machine.host_memory_bytes)}"
    yield f"processor flags: {' '.join(sorted(flag for flag in machine.cpu_flags if flag.startswith(('avx', 'amx'))))}"
    yield f"Python {host.python} in {host.prefix}"


def _packages(facts: Facts) -> Iterator[str]:
    for name, package in sorted(facts.packages.found.items()):
        if name in _PACKAGES:
            yield f"{name} {package.version}"
    for package in facts.packages.hidden:
        if package.name in _PACKAGES:
            yield f"{package.name} {package.version}, hidden, in {package.folder}"
    for plugin in facts.packages.plugins:
        yield f"{plugin.group}: {plugin.name} = {plugin.value} ({plugin.package})"


def _imports(facts: Facts) -> Iterator[str]:
    for step, error in facts.imports.errors.items():
        yield f"{step}: {_continued(error, 4) if error else 'ok'}"
    if torch := facts.imports.torch:
        yield f"torch {torch.version}: CUDA {torch.cuda}, HIP {torch.hip}, reaches {torch.cards} cards"


def _variables(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(environment.items()):
        if _VARIABLES.fullmatch(name):
            yield f"{name}={SECRET if value and is_secret(name) else value}"


def _plan(facts: Facts) -> Iterator[str]:
    if facts.choice.plan is None:
        yield "none"
        return
    for row in explain(facts.choice.plan):
        yield " | ".join(row)


def _continued(text: str, column: int) -> str:
    """Return a text whose further lines begin below the first."""
    return text.replace("\n", "\n" + " " * column)
