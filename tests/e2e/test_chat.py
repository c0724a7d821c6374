"""`bcli chat` on real vLLM, at a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from fakes.screen import Screen, on_screen
from fakes.served import eventually, no_process_left
from reference.poems import FAMOUS

pytestmark = pytest.mark.engine

BCLI = Path(sys.executable).with_name("bcli")
POEM = FAMOUS[0].start + FAMOUS[0].rest
TITLE = "《静夜思》"


def is_at_prompt(text: str) -> bool:
    return text.endswith((">", "> a message, or /help"))


def say(screen: Screen, line: str, wanted: str) -> str:
    """Type a line, and wait for what it shall bring and for the next prompt."""
    before = screen.text().count(wanted)
    screen.type(f"{line}\r")
    return screen.wait_for(lambda text: text.count(wanted) > before and is_at_prompt(text))


class Engine:
    """vLLM's server below a process of bcli, as the system shows it."""

    def __init__(self, parent: int) -> None:
        [keeper] = _children(parent)
        [self.pid] = _children(keeper)
        self.pids = [keeper, self.pid, *_children(self.pid)]
        arguments = Path(f"/proc/{self.pid}/cmdline").read_text().split("\0")
        variables = Path(f"/proc/{self.pid}/environ").read_text().split("\0")
        self.url = f"http://127.0.0.1:{arguments[arguments.index('--port') + 1]}"
        self.key = next(each for each in variables if each.startswith("VLLM_API_KEY=")).partition("=")[2]

    def running(self) -> float:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running"))


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def test_a_conversation_with_the_demo(isolation: Path) -> None:
    with on_screen([BCLI, "chat", "demo", "--stats"], os.environ, columns=100, lines=200) as screen:
        screen.wait_for("starting the engine … ")
        screen.wait_for(is_at_prompt)
        engine = Engine(screen.terminal.process.pid)
        assert say(screen, TITLE, "tokens/s").count(POEM) == 1
        say(screen, "/set ignore_eos true", "ignore_eos true")
        say(screen, "/set max_tokens 1500", "max_tokens 1500")
        screen.type("《登鹳雀楼》\r")
        screen.wait_for(lambda text: text.partition("> 《登鹳雀楼》\n")[2].count("\n") > 2)
        eventually(lambda: engine.running() == 1)
        screen.type("\x03")
        screen.wait_for(lambda text: "stopped" in text and is_at_prompt(text))
        eventually(lambda: engine.running() == 0)
        say(screen, "/undo", "taken back: 《登鹳雀楼》")
        say(screen, "/set ignore_eos default", "ignore_eos is left to the server")
        say(screen, "/retry", POEM)

        asked = subprocess.run(
            [BCLI, "chat", "--url", engine.url, "--no-save", "--temperature", "0"],
            input=TITLE,
            env=os.environ | {"VLLM_API_KEY": engine.key},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (asked.returncode, asked.stdout) == (0, f"{POEM}\n"), asked.stderr

        os.kill(engine.pid, signal.SIGKILL)
        no_process_left(engine.pids)
        say(screen, "/retry", "It is started again.")
        assert screen.text().count(POEM) == 3
        again = Engine(screen.terminal.process.pid)
        screen.type("/exit\r")
        assert screen.wait_for_exit() == 0
    no_process_left(again.pids)
    [kept] = (isolation / "data" / "chats").iterdir()
    events = [json.loads(line)["event"] for line in kept.read_text().splitlines()]
    assert events[0] == "begun"
    assert (events.count("user"), events.count("undo"), events.count("retry")) == (2, 1, 2)
