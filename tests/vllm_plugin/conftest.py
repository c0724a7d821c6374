"""What the plugin's tests share: registration, and the two real tokenizer models where they are at hand."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="package")
def registered() -> None:
    """Register config and tokenizers as vLLM's entry point does."""
    from baichuan_cli.vllm_plugin.config import register_config
    from baichuan_cli.vllm_plugin.tokenizer import register_tokenizers

    register_config()
    register_tokenizers()


@pytest.fixture(params=["baichuan1", "baichuan2"])
def real_model(request: pytest.FixtureRequest) -> Path:
    """Return one of the published `tokenizer.model` files."""
    path = Path(__file__).parents[3] / "shared" / "tokenizers" / f"{request.param}.model"
    if not path.exists():
        pytest.skip(f"{path} is missing: the real tokenizer models are not part of this repository")
    return path
