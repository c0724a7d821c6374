"""Teach vLLM the Baichuan models: config, tokenizer and, where vLLM has none of its own, the model classes.

vLLM calls `register` in every process through the entry point group `vllm.general_plugins`, so a bare `vllm serve`
gets the same models as `bcli`. Nothing in this package imports the rest of `baichuan_cli`.
"""

from __future__ import annotations

from importlib.util import find_spec

ARCHITECTURES = ("BaiChuanForCausalLM", "BaichuanForCausalLM")  # Baichuan-7B alone spells it with a capital C


def register() -> None:
    """Register Baichuan with transformers and vLLM; cheap, and harmless when called again."""
    from baichuan_cli.vllm_plugin.config import register_config
    from baichuan_cli.vllm_plugin.tokenizer import register_tokenizers

    register_config()
    register_tokenizers()
    # vLLM had Baichuan of its own through 0.24. Looked up, not read from a version: vendors' builds differ.
    if find_spec("vllm.model_executor.models.baichuan") is None:
        from baichuan_cli.vllm_plugin.registration import register_models

        register_models(ARCHITECTURES)
