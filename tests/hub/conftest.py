"""A fake hub on loopback, and waits that take no time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.hub import FakeHub, running_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """Run a hub, and make it the one that bcli asks."""
    monkeypatch.setattr("baichuan_cli.hub.patience._FIRST_WAIT", 0.0)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", running.endpoint)
        monkeypatch.setattr("baichuan_cli.hub.hugging_face.MIRROR", running.endpoint)
        monkeypatch.setattr("baichuan_cli.hub.sources.MIRROR", running.endpoint)
        yield running
