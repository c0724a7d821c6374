"""The page before real vLLM: `bcli serve demo --web` in a browser."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from baichuan_cli.engine.ports import free_port
from fakes.served import eventually
from web.chromium import new_tab

pytestmark = pytest.mark.engine

POEM = "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。"


@pytest.fixture
def service(browser: Browser, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A server whose every answer goes on for 900 tokens, and its page; give both ports."""
    port, web_port = free_port(), free_port()
    command = [sys.executable, "-m", "baichuan_cli", "serve", "demo", "--restart", "--port", str(port)]
    command += ["--web", "--web-port", str(web_port)]
    environment = {**os.environ, "BCLI_MIN_TOKENS": "900", "VLLM_CPU_KVCACHE_SPACE": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = ""
            while not said.endswith(f"  page  http://127.0.0.1:{web_port}/\n"):
                line = process.stderr.readline()
                assert line, said
                said += line
            yield port, web_port
        finally:
            process.terminate()
            process.communicate()
        assert process.returncode == 128 + signal.SIGTERM


def listening(port: int) -> bool:
    """Tell whether anybody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def running(port: int) -> float:
    """Return how many requests vLLM is answering."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        found = re.search(r"^vllm:num_requests_running\{.*\} (.*)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def vllm_process(port: int) -> int:
    """Return vLLM's API server: the process that another one, with the same arguments, looks after."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            if b"vllm.entrypoints.openai.api_server" in arguments and str(port).encode() in arguments:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    (process,) = (number for number, parent in parents.items() if parent in parents)
    return process


def test_a_conversation_with_the_demo(browser: Browser, service: tuple[int, int], tmp_path: Path) -> None:
    port, web_port = service
    with new_tab(browser, locale="zh-CN") as tab:
        tab.open(f"http://127.0.0.1:{web_port}/")
        with tab.answering():
            tab.type("《静夜思》")
            tab.page.wait_for_function(
                "document.querySelector('#chat .bot.message')?.innerText.includes('低头思故乡。')"
            )
            tab.page.locator("#box .stop-button").click()
        [stopped] = tab.answers
        assert stopped.startswith(POEM)
        assert re.fullmatch(r"已停止 · \d+\.\d 秒 · 首 token \d+\.\d\d 秒", tab.status)
        eventually(lambda: running(port) == 0)

        tab.page.get_by_label("Toggle Sidebar").click()
        longest = tab.page.get_by_label("number input for 回答长度上限")
        assert longest.input_value() == "1024"  # demo's generation_config.json
        longest.fill("26")
        longest.press("Tab")
        tab.ask("《登鹳雀楼》")
        assert tab.answers[1].startswith("服务端拒绝了这个问题。\n请修改设置或问题后重试。\n")
        assert "min_tokens" in tab.answers[1]  # vLLM's own words

        tab.reload()
        assert tab.questions == ["《静夜思》", "《登鹳雀楼》"]
        tab.click("撤销")
        tab.page.wait_for_function("document.querySelector('#box textarea').value === '《登鹳雀楼》'")
        assert tab.answers == [stopped]

        os.kill(vllm_process(port), signal.SIGKILL)
        eventually(lambda: not listening(port))
        tab.ask("还在吗")
        assert tab.answers[1] == "服务端没有响应。\n请确认它仍在运行，然后重试。"
        tab.page.screenshot(path=tmp_path / "page.png")
