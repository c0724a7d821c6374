"""A page in front of a server that does as it is told, and a browser before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from fakes.openai_server import Behaviour, FakeServer, running_server
from web.chromium import Tab, chromium, new_browser, tab_of
from web.page_process import PageProcess, page_process

KEY = "sk-what-no-browser-may-see"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def served() -> Iterator[FakeServer]:
    """A server that wants a key; of two models one is unknown to bcli."""
    with running_server(models=("demo", "foreign"), api_key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def site(served: FakeServer) -> Iterator[PageProcess]:
    with page_process("--url", served.url, environment={"BCLI_API_KEY": KEY}) as page:
        yield page


@pytest.fixture(scope="module")
def somebody(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has most of the page in its cache after the first test."""
    with new_browser(browser) as context:
        yield context


@pytest.fixture
def server(served: FakeServer) -> FakeServer:
    """The server as it was at first."""
    served.behaviour = Behaviour(tokens=24, token_seconds=0.01)
    served.api_key, served.models, served.max_model_len = KEY, ("demo", "foreign"), 4096
    served.requests.clear()
    return served


@pytest.fixture
def tab(somebody: BrowserContext, server: FakeServer, site: PageProcess) -> Iterator[Tab]:
    with tab_of(somebody) as tab:
        yield tab.open(site.url)
    assert not [body for body in tab.bodies if KEY.encode() in body]
    assert b"demo" in b"".join(tab.bodies)  # the bodies were really kept
