"""Put the model classes into vLLM's registry, imported only when vLLM asks about them.

A class that is registered by name vLLM inspects in a process of its own, which imports all of vLLM again: 20 s of the
first start on a machine with an H100. It does so to keep CUDA out of this process, which could not fork its engine
any more; importing our class does not start CUDA.
"""

from __future__ import annotations

from typing import Any

from vllm import ModelRegistry
from vllm.model_executor.models.config import MODELS_CONFIG_MAP

from baichuan_cli.vllm_plugin.engine_config import BaichuanEngineConfig


class _OnDemand:
    """An entry of vLLM's registry; both methods are what vLLM calls (0.25 to 0.33)."""

    def __init__(self, architecture: str) -> None:
        self._architecture = architecture

    def load_model_cls(self) -> type:
        from baichuan_cli.vllm_plugin.model import BaichuanForCausalLM

        return BaichuanForCausalLM

    def inspect_model_cls(self) -> Any:
        """Register the class itself, which vLLM then inspects in this process."""
        ModelRegistry.register_model(self._architecture, self.load_model_cls())
        return ModelRegistry.models[self._architecture].inspect_model_cls()


def register_models(architectures: tuple[str, ...]) -> None:
    """Make vLLM use our class and our settings for these architectures."""
    for architecture in architectures:
        ModelRegistry.models[architecture] = _OnDemand(architecture)
        MODELS_CONFIG_MAP[architecture] = BaichuanEngineConfig
