"""vLLM's OpenAI server with the plugin loaded, for releases that look for none (before 0.5.5).

    python -m baichuan_cli.vllm_plugin.api_server --model DIR …

The same arguments as `python -m vllm.entrypoints.openai.api_server`.
"""

from __future__ import annotations

from runpy import run_module

from baichuan_cli.vllm_plugin import register

if __name__ == "__main__":
    register()
    run_module("vllm.entrypoints.openai.api_server", run_name="__main__", alter_sys=True)
