"""Isolation for every test: a home of its own, a fixed terminal, and no variables of the person who runs it.

Beside that a fake hub, for those that ask for one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fakes.hub import FakeHub, running_hub

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of an engine wait for one another at every product. On cores that another worker keeps busy that made
    # engines four times slower than with one thread.
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let one worker start all engines, since two at a time have too little memory, and keep each file together."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        engine = item.get_closest_marker("engine") is not None
        item.add_marker(pytest.mark.xdist_group("engine" if engine else item.path.name))


@pytest.fixture(autouse=True)
def isolation(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """Give bcli an empty BCLI_HOME and a terminal of 80 columns without colour; return that home."""
    home = tmp_path_factory.mktemp("bcli-home")
    for name in list(os.environ):
        if name.startswith(("BCLI_", "VLLM_", "HF_")):
            monkeypatch.delenv(name)
    if not request.node.get_closest_marker("engine"):  # plans tell what is set
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("BCLI_HOME", str(home))
    monkeypatch.setenv("HF_HOME", str(home / "huggingface"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    return home


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """Run a hub on loopback, make it the one that bcli asks, and let waits take no time."""
    monkeypatch.setattr("baichuan_cli.hub.patience._FIRST_WAIT", 0.0)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with running_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", running.endpoint)
        monkeypatch.setattr("baichuan_cli.hub.sources.MIRROR", running.endpoint)
        yield running
