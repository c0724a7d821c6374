"""Debian's Chromium, driven by Playwright, and what a person does with the page in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Response, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")

#: What the browser has fetched to its end of what Gradio streams its updates through: one for each answer.
_STREAMS = "performance.getEntriesByType('resource').filter((each) => each.name.includes('/queue/data'))"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser without a window until the block ends.

    Where there is none the test is skipped; on the CI machine, which sets CI=true, it fails.
    """
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("there is no Chromium on this machine: sudo apt-get install chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Tab:
    """One tab with the page in it, and all that went over the wire for it."""

    page: Page
    asked: list[str] = field(default_factory=list)  # addresses
    bodies: list[bytes] = field(default_factory=list)

    def open(self, url: str) -> Tab:
        """Open the page and wait until one can type."""
        self.page.goto(url)
        self.wait_until_open()
        return self

    def reload(self) -> None:
        """Load the page again, and wait until one can type."""
        self.page.reload()
        self.wait_until_open()

    def wait_until_open(self) -> None:
        """Wait until one can type."""
        self._wait_for_streams(1)  # that of the list of models

    def ask(self, text: str) -> None:
        """Type a question, press Enter, and wait until it is answered."""
        with self.answering():
            self.type(text)

    def type(self, text: str) -> None:
        """Type a question and press Enter."""
        box = self.page.locator("#box textarea")
        box.fill(text)
        box.press("Enter")

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Wait, after the block, until the page has been told the whole answer that the block has asked for."""
        before = self.page.evaluate(f"{_STREAMS}.length")
        yield
        self._wait_for_streams(before + 1)

    def _wait_for_streams(self, count: int) -> None:
        self.page.wait_for_function(f"{_STREAMS}.length >= {count}")
        self.page.wait_for_selector("#box .submit-button")

    def click(self, title: str) -> None:
        """Press the last button of a title."""
        self.page.locator(f'#chat button[title="{title}"]').last.click()

    @property
    def questions(self) -> list[str]:
        """Return what is shown as asked."""
        return self._texts("#chat .user.message")

    @property
    def answers(self) -> list[str]:
        """Return what is shown as answered, notes of the page included."""
        return self._texts("#chat .bot.message")

    @property
    def status(self) -> str:
        """Return the line under the conversation."""
        return self.page.locator("#status").inner_text().strip()

    @property
    def typed(self) -> str:
        """Return what stands in the box."""
        return self.page.locator("#box textarea").input_value()

    def _texts(self, selector: str) -> list[str]:
        texts = self.page.locator(selector).all_inner_texts()
        return ["\n".join(filter(None, map(str.strip, text.splitlines()))) for text in texts]


@contextmanager
def new_browser(browser: Browser, **settings: Any) -> Iterator[BrowserContext]:
    """Give a browser that nobody has used before."""
    context = browser.new_context(**{"locale": "en-US", **settings})
    context.set_default_timeout(60_000)
    yield context
    context.close()


@contextmanager
def tab_of(context: BrowserContext) -> Iterator[Tab]:
    """Give a tab of a browser; it must not ask any other host."""
    tab = Tab(context.new_page())

    def keep(response: Response) -> None:
        with suppress(Error):  # a stream that was left, or a redirect
            tab.bodies.append(response.body())

    tab.page.on("request", lambda request: tab.asked.append(request.url))
    tab.page.on("requestfailed", lambda request: request.failure == "csp" and tab.asked.remove(request.url))
    tab.page.on("requestfinished", lambda request: keep(request.response()))
    yield tab
    tab.page.close()
    assert {urlsplit(url).hostname for url in tab.asked} <= {"127.0.0.1", "localhost", None}


@contextmanager
def new_tab(browser: Browser, **settings: Any) -> Iterator[Tab]:
    """Give a tab of a browser that nobody has used before."""
    with new_browser(browser, **settings) as context, tab_of(context) as tab:
        yield tab
