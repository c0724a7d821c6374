"""The options that decide an engine, for commands that take all of them, declared once.

`@takes_engine` gives a command the options of `generate` for model, profile and engine settings, and hands them over
as one `Wishes` in its parameter `wishes`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from baichuan_cli.cli import options
from baichuan_cli.cli.planning import Wishes

_SETTINGS = (
    *("dtype", "tensor_parallel_size", "pipeline_parallel_size", "quantization", "max_model_len"),
    *("gpu_memory_utilization", "max_num_seqs", "enforce_eager"),
)


def _options(
    model: options.ModelOption = None,
    profile: options.ProfileOption = None,
    dtype: options.DtypeOption = None,
    tensor_parallel_size: options.TensorParallelOption = None,
    pipeline_parallel_size: options.PipelineParallelOption = None,
    quantization: options.QuantizationOption = None,
    max_model_len: options.MaxModelLenOption = None,
    gpu_memory_utilization: options.GpuMemoryOption = None,
    max_num_seqs: options.MaxNumSeqsOption = None,
    enforce_eager: options.EagerOption = None,
    fast_start: options.FastStartOption = False,
    trust_remote_code: options.TrustRemoteCodeOption = False,
    assignments: options.SetOption = None,
    force: options.ForceOption = False,
) -> None:
    """Hold the options; never called."""


def takes_engine(command: Callable[..., None]) -> Callable[..., None]:
    """Add the engine's options to a command that has a parameter `wishes`; they stand where it stands."""
    shared = _parameters(_options)
    own = _parameters(command)
    without = [name for name in own if name != "wishes"]
    place = list(own).index("wishes")
    ordered = {name: own[name] for name in without[:place]}
    ordered |= {name: each for name, each in shared.items() if name not in own}
    ordered |= {name: own[name] for name in without[place:]}

    @wraps(command)
    def run(**given: Any) -> None:
        mine = {name: given[name] for name in without}
        command(**mine, wishes=_wishes({name: given[name] if name not in own else None for name in shared}))

    del run.__wrapped__  # what reads the signature must see the joined one
    run.__signature__ = inspect.Signature(list(ordered.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in ordered.items()}
    return run


def _parameters(function: Callable[..., None]) -> dict[str, inspect.Parameter]:
    # Of what defaults to None get_type_hints of Python 3.10 makes Optional[Annotated[…]], and Typer sees no option.
    return {
        name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function, eval_str=True).parameters.items()
    }


def _wishes(given: dict[str, Any]) -> Wishes:
    return Wishes(
        model=given["model"],
        profile=given["profile"],
        settings={name: given[name] for name in _SETTINGS} | {"trust_remote_code": given["trust_remote_code"] or None},
        assignments=given["assignments"] or (),
        force=bool(given["force"]),
        fast_start=bool(given["fast_start"]),
    )
