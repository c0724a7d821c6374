"""A server that answers as vLLM does, for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.openai_server import FakeServer, running_server


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server() as server:
        yield server
