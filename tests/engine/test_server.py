"""How a server is started, watched and stopped. vLLM's place is taken by a child that speaks its protocol."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from baichuan_cli.engine.server import Server, private_options
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.plan.serving import ServeOptions
from fakes.served import ServedVllm, alive, eventually, no_process_left
from plan.planning import plan

PLAN = plan(purpose="server")


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ServedVllm:
    return ServedVllm(monkeypatch, tmp_path / "seen.json")


def start(options: ServeOptions | None = None, progress: list[str] | None = None) -> Server:
    told = [] if progress is None else progress
    return Server.start(PLAN, options or private_options(), on_progress=told.append)


def test_a_private_server(vllm: ServedVllm, isolation: Path) -> None:
    options, progress = private_options(), []
    with start(options, progress) as server:
        assert (server.url, server.model_name) == (f"http://127.0.0.1:{options.port}/v1", "demo")
        assert server.api_key is not None and len(server.api_key) > 20
        assert server.poll() is None
        arguments, environment = vllm.seen["argv"], vllm.seen["environment"]
    assert server.poll() == 0
    no_process_left(vllm.seen["pids"])
    assert progress == ["importing vLLM", "loading weights", "first answer"]
    assert environment["VLLM_API_KEY"] == server.api_key
    assert server.api_key not in " ".join(arguments) + server.log_path.read_text()
    assert arguments[arguments.index("--uvicorn-log-level") + 1] == "warning"
    assert server.log_path.stat().st_mode & 0o777 == 0o600
    config = Path(arguments[arguments.index("--generation-config") + 1]) / "generation_config.json"
    assert config.is_relative_to(isolation)
    assert json.loads(config.read_text()) == {
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": -1,
        "repetition_penalty": 1.0,
        "max_new_tokens": 128,
        "eos_token_id": [2, 195, 196],
    }


def test_private_servers_share_neither_port_nor_key() -> None:
    one, two = private_options(), private_options()
    assert one.api_key != two.api_key
    assert one.host == two.host == "127.0.0.1"


def test_stopping_twice_and_after_the_end_is_harmless(vllm: ServedVllm) -> None:
    server = start()
    server.stop()
    server.stop()
    assert server.poll() == 0


def test_a_stubborn_server_is_killed_with_all_it_has_started(vllm: ServedVllm) -> None:
    vllm.behave(stubborn=True)
    server = start()
    server.stop()
    assert server.poll() == 128 + signal.SIGKILL
    no_process_left(vllm.seen["pids"])


def test_a_failure_tells_its_cause_and_shows_the_end_of_the_log(vllm: ServedVllm) -> None:
    lines = ["INFO hello", "ValueError: No available memory for the cache blocks. Try increasing it"]
    vllm.behave(log=lines, exit=1)
    with pytest.raises(BcliError) as caught:
        start()
    error = caught.value
    assert error.message == "vLLM failed: No room for the KV cache beside the weights."
    assert error.exit_code is ExitCode.ENGINE
    shown = error.hint.splitlines()
    assert shown[1:3] == lines
    assert shown[3].startswith("The whole log: ")
    assert Path(shown[3].removeprefix("The whole log: ")).read_text().splitlines() == lines
    no_process_left(vllm.seen["pids"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [
                "(EngineCore pid=7) ERROR 11-26 18:00:00 [core.py:1] Traceback (most recent call last):",
                "(EngineCore pid=7) ERROR 11-26 18:00:00 [core.py:1] KeyError: 'flux_capacitor'",
                "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
            ],
            "vLLM failed: KeyError: 'flux_capacitor'",
        ),
        (
            ["ERROR [core_client.py:640] Engine core proc EngineCore died unexpectedly, shutting down client."],
            "vLLM failed: a process of its engine died. If memory ran out, the kernel killed it: dmesg | tail",
        ),
        (
            ["Traceback (most recent call last):", "ValueError: no such thing"],
            "vLLM failed: ValueError: no such thing",
        ),
        (["INFO nothing of interest"], "vLLM failed: its server ended with exit code 9"),
    ],
)
def test_an_unknown_failure_tells_what_is_nearest_to_the_cause(
    vllm: ServedVllm, lines: list[str], message: str
) -> None:
    vllm.behave(log=lines, exit=9)
    with pytest.raises(BcliError) as caught:
        start()
    assert caught.value.message == message


def test_a_server_that_is_up_but_cannot_answer_is_not_ready(vllm: ServedVllm) -> None:
    vllm.behave(answer_status=500)
    with pytest.raises(BcliError, match="does not answer: 500 .*no such thing") as caught:
        start()
    assert re.fullmatch(r"INFO Starting to load model .*\nThe whole log: .*/serve-demo-.*\.log", caught.value.hint)
    no_process_left(vllm.seen["pids"])


def test_a_server_that_dies_at_its_first_answer(vllm: ServedVllm) -> None:
    vllm.behave(die_at_first_answer=True)
    with pytest.raises(BcliError, match="its server was killed. If memory ran out"):
        start()
    no_process_left(vllm.seen["pids"])


def test_a_taken_port_is_found_before_anything_is_started(vllm: ServedVllm, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BcliError) as caught:
            start(ServeOptions(port=port))
    assert caught.value.message == f"Port {port} on 127.0.0.1 is taken."
    assert caught.value.hint.startswith("Use another one: --port ")
    assert caught.value.exit_code is ExitCode.REFUSED
    assert not (tmp_path / "seen.json").exists()


def test_a_host_of_another_machine_is_refused(vllm: ServedVllm) -> None:
    with pytest.raises(BcliError, match=r"192\.0\.2\.1 is no address of this machine"):
        start(ServeOptions(host="192.0.2.1"))


PARENT = """
import sys
from baichuan_cli.engine.server import Server, private_options
from plan.planning import plan
Server.start(plan(purpose="server"), private_options(), on_progress=print)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("loading", [True, False])
def test_nothing_outlives_a_bcli_that_is_killed(vllm: ServedVllm, loading: bool) -> None:
    vllm.behave(hang=loading)
    tests = Path(__file__).parent.parent
    environment = os.environ | {"PYTHONPATH": f"{os.environ['PYTHONPATH']}:{tests}"}
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as bcli:
        assert bcli.stdout is not None
        if not loading:
            while bcli.stdout.readline() != "ready\n":
                assert bcli.poll() is None
        pids = vllm.seen["pids"]
        eventually(lambda: all(map(alive, pids)))
        with contextlib.suppress(ProcessLookupError):
            bcli.kill()
    no_process_left(pids)
