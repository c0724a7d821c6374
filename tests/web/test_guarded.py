"""The page behind a password and a proxy's path."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from fakes.openai_server import POEM, FakeServer
from fakes.prefix_proxy import prefix_proxy
from web.chromium import new_tab
from web.page_process import PageProcess, page_process

PASSWORD = "明月 1"


@pytest.fixture(scope="module")
def guarded(served: FakeServer) -> Iterator[PageProcess]:
    key = served.api_key or ""
    environment = {"BCLI_API_KEY": key, "BCLI_WEB_PASSWORD": PASSWORD}
    with page_process("--url", served.url, "--user", "ming", "--root-path", "bcli", environment=environment) as page:
        yield page


def status(url: str, body: bytes | None = None) -> int:
    """Return the status of an answer to somebody without a cookie."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_visitor_logs_in_behind_a_proxy(browser: Browser, server: FakeServer, guarded: PageProcess) -> None:
    with prefix_proxy("/bcli", guarded.url) as address, new_tab(browser, locale="zh-CN") as tab:
        tab.page.goto(f"{address}/")
        for password, then in (("wrong", "text=凭据不正确"), (PASSWORD, "#box textarea")):
            tab.page.get_by_label("用户名").fill("ming")
            tab.page.get_by_label("密码").fill(password)
            tab.page.get_by_role("button", name="登录").click()
            tab.page.wait_for_selector(then)
        tab.wait_until_open()
        tab.ask("一")
        assert tab.answers == [POEM]
        outside = {url for url in tab.asked if not urlsplit(url).path.startswith("/bcli/")}
        assert {urlsplit(url).path for url in outside} <= {"/favicon.ico"}  # the browser's own idea
        assert not [body for body in tab.bodies if PASSWORD.encode() in body]


def test_nothing_is_given_to_a_stranger(server: FakeServer, guarded: PageProcess) -> None:
    api = f"{guarded.url}/bcli/gradio_api"
    assert status(f"{api}/queue/join", b'{"data": [], "fn_index": 0, "session_hash": "x"}') == 401
    assert status(f"{api}/run/predict", b'{"data": [], "fn_index": 0, "session_hash": "x"}') == 401
    assert status(f"{guarded.url}/bcli/config") == 401
    assert server.requests == []


def test_what_the_page_does_not_use_is_not_there(guarded: PageProcess) -> None:
    for path in ("upload", "file=/etc/passwd", "proxy=http://127.0.0.1/", "info", "runs", "deep_link"):
        assert status(f"{guarded.url}/gradio_api/{path}") == 404
    assert status(f"{guarded.url}/gradio_api/upload", b"x") == 404


def test_the_path_may_also_be_left_on(guarded: PageProcess) -> None:
    assert guarded.ready == f'ready  {guarded.url}/bcli/   models "demo", "foreign"   Ctrl-C stops'
    for path in ("/bcli", "/bcli/", "/"):
        assert status(guarded.url + path) == 200
    assert status(f"{guarded.url}/bclix/") == 404
