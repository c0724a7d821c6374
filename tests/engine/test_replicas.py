"""Several servers behind the real vllm-router; in vLLM's own place are children that speak its protocol."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from baichuan_cli.engine.ports import free_port
from baichuan_cli.engine.replicas import Replicas
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.serving import ServeOptions
from fakes.served import ServedVllm, eventually, no_process_left
from plan.planning import plan

pytest.importorskip("vllm_router", reason="vllm-router is not installed")

PLANS = [plan(purpose="server")] * 2


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ServedVllm:
    return ServedVllm(monkeypatch, tmp_path / "seen.json")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def ask(replicas: Replicas, prompt: str = "x", key: str | None = "sesame") -> str:
    """Return the text of an answer: the process that gave it."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    body = json.dumps({"model": replicas.model_name, "prompt": prompt, "max_tokens": 1}).encode()
    request = urllib.request.Request(f"{replicas.url}/completions", body, headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        text: str = json.load(response)["choices"][0]["text"]
        return text


def all_answer(replicas: Replicas) -> set[str]:
    """Return who answers when many ask at once the same thing, which one server alone could have in its cache."""
    with ThreadPoolExecutor(8) as clients:
        return set(clients.map(lambda _: ask(replicas), range(16)))


def options() -> ServeOptions:
    return ServeOptions(port=free_port(), api_key="sesame")


def test_requests_reach_every_server_and_the_key_is_checked(vllm: ServedVllm) -> None:
    vllm.behave(answer_seconds=0.05)
    told: list[str] = []
    asked = options()
    with Replicas.start(PLANS, asked, on_progress=told.append) as replicas:
        assert replicas.url == f"http://127.0.0.1:{asked.port}/v1"
        pids = [pid for each in vllm.all_seen for pid in each["pids"]]
        everybody = {str(each["pids"][0]) for each in vllm.all_seen}
        eventually(lambda: all_answer(replicas) == everybody)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(replicas, key=None)
        assert replicas.poll() is None
        assert {each["environment"]["VLLM_API_KEY"] for each in vllm.all_seen} == {"sesame"}
        assert len(set(replicas.log_paths)) == 3
    assert replicas.poll() is not None
    no_process_left(pids)
    assert [each for each in told if "importing" in each] == [
        "replica 1 of 2: importing vLLM",
        "replica 2 of 2: importing vLLM",
    ]


def test_web_pages_elsewhere_may_not_use_it(vllm: ServedVllm, stack: ExitStack) -> None:
    """The router alone would let all of them in."""
    replicas = stack.enter_context(Replicas.start(PLANS, options(), on_progress=lambda _: None))
    request = urllib.request.Request(f"{replicas.url}/models", headers={"Origin": "https://elsewhere.example"})
    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.headers["Access-Control-Allow-Origin"] is None


def test_all_end_with_the_first_that_dies(vllm: ServedVllm, stack: ExitStack) -> None:
    replicas = stack.enter_context(Replicas.start(PLANS, options(), on_progress=lambda _: None))
    os.kill(vllm.all_seen[1]["pids"][0], signal.SIGKILL)
    eventually(lambda: replicas.poll() is not None)
    assert re.match("Replica [12]: vLLM failed: its server was killed.", replicas.failure().message)


def test_one_that_dies_is_started_again_while_the_others_serve(vllm: ServedVllm, stack: ExitStack) -> None:
    vllm.behave(answer_seconds=0.05)
    warned: list[str] = []
    started = Replicas.start(PLANS, options(), on_progress=lambda _: None, restart=warned.append)
    replicas = stack.enter_context(started)
    first, second = (each["pids"][0] for each in vllm.all_seen)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: replicas.poll() is None and len(vllm.all_seen) == 3)
    assert re.fullmatch("replica [12]: vLLM failed: its server was killed.*Starting it again in 1 s.", warned[0])
    third = vllm.all_seen[2]["pids"][0]

    def both_answer() -> bool:
        try:
            return all_answer(replicas) == {str(second), str(third)}
        except urllib.error.HTTPError:
            return False  # until the router has noticed

    eventually(both_answer)
    assert replicas.poll() is None


def test_the_end_of_the_router_is_the_end_of_all(vllm: ServedVllm, stack: ExitStack) -> None:
    replicas = stack.enter_context(Replicas.start(PLANS, options(), on_progress=lambda _: None))
    replicas._router.let_go()
    eventually(lambda: replicas.poll() is not None)
    assert replicas.failure().message.startswith("vllm-router ended with exit code")


def test_nothing_is_left_of_a_start_that_failed(vllm: ServedVllm) -> None:
    vllm.behave(log=["ValueError: No available memory for the cache blocks"], exit=1)
    with pytest.raises(BcliError, match="No room for the KV cache"):
        Replicas.start(PLANS, options(), on_progress=lambda _: None)
    no_process_left([pid for each in vllm.all_seen for pid in each["pids"]])


def test_a_router_that_does_not_hand_requests_on(vllm: ServedVllm, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise http.client.IncompleteRead(b"")

    monkeypatch.setattr("baichuan_cli.engine.replicas.require_answer", broken)
    with pytest.raises(BcliError, match="^vllm-router does not hand requests on: IncompleteRead") as caught:
        Replicas.start(PLANS, options(), on_progress=lambda _: None)
    assert "The whole log: " in caught.value.hint
    no_process_left([pid for each in vllm.all_seen for pid in each["pids"]])


def test_without_the_router_nothing_is_started(vllm: ServedVllm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BcliError, match="--replicas needs vllm-router") as caught:
        Replicas.start(PLANS, options(), on_progress=lambda _: None)
    assert (caught.value.hint, caught.value.exit_code) == ("pip install vllm-router", ExitCode.NOT_FOUND)
    assert vllm.all_seen == []
