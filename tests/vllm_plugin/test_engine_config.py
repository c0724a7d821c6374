"""What the plugin does to vLLM's configuration: real `VllmConfig` hooks, a card that is not there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from baichuan_cli.vllm_plugin.config import BaichuanConfig

pytestmark = pytest.mark.filterwarnings("ignore")  # vLLM's own imports


@pytest.fixture
def hopper(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.platforms import current_platform

    import baichuan_cli.vllm_plugin.engine_config  # noqa: F401  # imported while the platform is still the real one

    monkeypatch.setattr(current_platform, "is_cuda", lambda: True)
    monkeypatch.setattr(current_platform, "get_device_capability", lambda: SimpleNamespace(major=9, minor=0))


def settle(*, alibi: bool, backend: str | None = None, flash_attn_version: int | None = None) -> Any:
    """Run the hook over the parts of a `VllmConfig` that it reads; return its attention config."""
    from vllm.config import AttentionConfig

    from baichuan_cli.vllm_plugin.engine_config import BaichuanEngineConfig

    attention = AttentionConfig(backend=backend, flash_attn_version=flash_attn_version)
    config = SimpleNamespace(
        model_config=SimpleNamespace(hf_config=BaichuanConfig(alibi=alibi), dtype=torch.bfloat16, quantization=None),
        cache_config=SimpleNamespace(cache_dtype="auto"),
        attention_config=attention,
    )
    BaichuanEngineConfig.verify_and_update_config(config)
    return attention


@pytest.mark.usefixtures("hopper")
class TestOnHopper:
    def test_triton_by_default(self) -> None:
        assert settle(alibi=True).backend.name == "TRITON_ATTN"

    def test_flash_attention_is_version_two(self) -> None:
        assert settle(alibi=True, backend="FLASH_ATTN").flash_attn_version == 2

    def test_flash_attention_three_does_not_stay(self) -> None:
        assert settle(alibi=True, flash_attn_version=3).flash_attn_version == 2

    def test_the_persons_backend_stays(self) -> None:
        assert settle(alibi=True, backend="TRITON_ATTN").backend.name == "TRITON_ATTN"

    @pytest.mark.parametrize("backend", ["FLASHINFER", "FLEX_ATTENTION"])
    def test_a_backend_without_alibi_is_refused(self, backend: str) -> None:
        with pytest.raises(ValueError, match=f"Attention backend {backend} does not compute ALiBi"):
            settle(alibi=True, backend=backend)

    def test_rotary_models_are_left_alone(self) -> None:
        attention = settle(alibi=False, backend="FLASHINFER")
        assert (attention.backend.name, attention.flash_attn_version) == ("FLASHINFER", None)
