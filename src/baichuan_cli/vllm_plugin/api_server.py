"""vLLM's OpenAI server with the plugin loaded, for releases that look for none (before 0.5.5).

    python -m baichuan_cli.vllm_plugin.api_server --model DIR …

The same arguments as `python -m vllm.entrypoints.openai.api_server`, and `--generation-config DIR` as later releases
have it.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from runpy import run_module

from baichuan_cli.vllm_plugin import register


def main() -> None:
    """Prepare this process for Baichuan, then be vLLM's server."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--generation-config", type=Path)
    options, sys.argv[1:] = parser.parse_known_args()
    add_stand_ins()
    register()
    if options.generation_config:
        from vllm.entrypoints.openai import protocol

        from baichuan_cli.vllm_plugin.request_defaults import use_request_defaults

        use_request_defaults(protocol, options.generation_config)
    run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)


def add_stand_ins() -> None:
    """Let Python find what vLLM's server imports and PyPI has lost.

    outlines before 0.1 dies without pyairports; what PyPI has of that name today is something else. The stand-in lies
    behind everything else, so that a real one is found first. Workers inherit the path.
    """
    sys.path.append(str(Path(__file__).with_name("stand_ins")))


if __name__ == "__main__":
    main()
