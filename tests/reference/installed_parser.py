"""The argument parser of the installed vLLM's server, which has moved."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any


def server_parser() -> Any:
    """Return vLLM's own parser; importing it takes seconds, and warns."""
    try:
        from vllm.utils.argparse_utils import FlexibleArgumentParser
    except ModuleNotFoundError:  # 0.5.0 makes its parser by itself
        return import_module("vllm.entrypoints.openai.cli_args").make_arg_parser()
    moved = find_spec("vllm.entrypoints.launchers")  # 0.30 and later
    module = import_module("vllm.entrypoints.launchers.cli_args" if moved else "vllm.entrypoints.openai.cli_args")
    return module.make_arg_parser(FlexibleArgumentParser())
