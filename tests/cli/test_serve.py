"""`bcli serve` as a person and a service manager see it. vLLM's place is taken by a child that speaks its protocol."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from baichuan_cli.chat_templates import template_path
from baichuan_cli.demo import demo_path
from baichuan_cli.engine.ports import free_port
from baichuan_cli.errors import ExitCode
from cli.in_process import Bcli, Ran, run_bcli
from fakes.served import ServedVllm, no_process_left
from plan.planning import CPU

HEADLINE = "demo · cpu profile (no accelerator found) · vLLM 0.32.0 · bfloat16"


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bcli:
    """Run bcli in this process on a machine with two cores that have bfloat16, and vLLM 0.32.0."""
    from baichuan_cli.plan.release import Release

    monkeypatch.setattr("baichuan_cli.cli.planning._release", lambda wanted: Release.parse(wanted or "0.32.0"))
    monkeypatch.setattr("baichuan_cli.hardware.detect.look_at_host", lambda _: CPU)
    return lambda *arguments: run_bcli(("serve", *arguments), monkeypatch, capfd)


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ServedVllm:
    return ServedVllm(monkeypatch, tmp_path / "seen.json")


class Service:
    """A `bcli serve` that runs."""

    def __init__(self, *arguments: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "baichuan_cli", "serve", "demo", "--port", str(self.port), *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
        self.said: list[str] = []

    def until(self, wanted: str) -> str:
        """Read stderr up to a line that begins like this, and return the line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith(wanted):
                return line
        raise AssertionError(f"no line {wanted!r} in:\n{''.join(self.said)}")

    def end(self, number: int | None = None) -> Ran:
        """Send a signal, wait for the end, and return what was said in all."""
        if number is not None:
            self.process.send_signal(number)
        stdout, stderr = self.process.communicate(timeout=30)
        return Ran(self.process.returncode, stdout, "".join(self.said) + stderr)


@pytest.fixture
def serve(vllm: ServedVllm) -> Iterator[Callable[..., Service]]:
    services: list[Service] = []

    def started(*arguments: str) -> Service:
        services.append(Service(*arguments))
        return services[-1]

    yield started
    for service in services:
        with contextlib.suppress(ProcessLookupError):
            service.process.kill()
        service.process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_from_start_to_stop(
    serve: Callable[..., Service], vllm: ServedVllm, isolation: Path, number: int, code: int
) -> None:
    service = serve()
    service.until("  curl")
    ran = service.end(number)
    no_process_left(vllm.seen["pids"])
    (log,) = (isolation / "state").glob("serve-demo-*.log")
    headline, ready, logged, curl, stopped = ran.stderr.splitlines()
    assert headline.startswith("demo · cpu profile (no accelerator found) · vLLM ")
    url = f"http://127.0.0.1:{service.port}/v1"
    assert ready.rpartition("   (")[0] == f'ready  {url}   model "demo"   Ctrl-C stops'
    assert logged == f"  log   {log}"
    assert curl == f"  curl {url}/models"
    assert stopped == "stopped"
    assert (ran.code, ran.stdout) == (code, "")


def test_the_page_comes_and_goes_with_the_server(serve: Callable[..., Service], vllm: ServedVllm) -> None:
    port = free_port()
    service = serve("--web", "--web-port", str(port))
    assert service.until("  page") == f"  page  http://127.0.0.1:{port}/\n"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
        assert b"window.gradio_config" in page.read()
    ran = service.end(signal.SIGTERM)
    no_process_left(vllm.seen["pids"])
    assert (ran.code, ran.stdout, ran.stderr.splitlines()[-1]) == (143, "", "stopped")


def test_a_page_that_cannot_be_is_refused_before_anything_is_loaded(bcli: Bcli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = bcli("demo", "--web", "--web-port", str(port))
    assert ran.code == ExitCode.REFUSED
    assert f"error: Port {port} on 127.0.0.1 is taken.\n  Use another one: --web-port " in ran.stderr
    for name in ("key.pem", "cert.pem"):
        (tmp_path / name).touch()
    tls = ("--ssl-keyfile", str(tmp_path / "key.pem"), "--ssl-certfile", str(tmp_path / "cert.pem"))
    assert bcli("demo", "--web", *tls).stderr == (
        "error: --web does not go with TLS.\n"
        f"  Start the page by itself: SSL_CERT_FILE={tmp_path}/cert.pem bcli web --url https://HOST:8000/v1\n"
    )
    other = ("--nnodes", "2", "--node-rank", "1", "--master-addr", "10.0.0.1", "--pipeline-parallel-size", "2")
    assert bcli("demo", "--web", *other).stderr == (
        "error: --web is for machine 0: the others have no API.\n  Leave it out here.\n"
    )


def test_json_is_one_object_when_the_server_is_ready(serve: Callable[..., Service], tmp_path: Path) -> None:
    key = tmp_path / "key.txt"
    key.write_text("sesame\n")
    service = serve("--json", "--api-key-file", str(key), "--served-model-name", "one", "--served-model-name", "two")
    assert service.process.stdout is not None
    text = ""
    while not text.endswith("\n}\n"):
        text += service.process.stdout.readline()
    ready = json.loads(text)
    assert [Path(path).exists() for path in ready.pop("logs")] == [True]
    assert ready.pop("ready_seconds") > 0
    assert ready.pop("vllm")
    assert ready == {
        "schema": "bcli.serve/1",
        "url": f"http://127.0.0.1:{service.port}/v1",
        "models": ["one", "two"],
        "profile": "cpu",
        "key": True,
    }
    assert service.end(signal.SIGTERM).stdout == ""


def test_the_key_reaches_vllm_in_its_environment_and_nothing_else(
    serve: Callable[..., Service], vllm: ServedVllm, isolation: Path, tmp_path: Path
) -> None:
    key = tmp_path / "key.txt"
    key.write_text("sesame-open\n")
    service = serve("--api-key-file", str(key))
    service.until("  curl")
    seen = vllm.seen
    ran = service.end(signal.SIGTERM)
    assert seen["environment"]["VLLM_API_KEY"] == "sesame-open"
    written = [path.read_text() for path in (isolation / "state").rglob("*") if path.is_file()]
    assert not [text for text in (*seen["argv"], *written, ran.stderr) if "sesame" in text]
    assert '-H "Authorization: Bearer $VLLM_API_KEY"' in ran.stderr


def test_sigterm_while_vllm_loads(serve: Callable[..., Service], vllm: ServedVllm) -> None:
    vllm.behave(hang=True)
    service = serve()
    pids = vllm.seen["pids"]
    assert service.end(signal.SIGTERM).code == 143
    no_process_left(pids)


def test_a_second_ctrl_c_does_not_wait(serve: Callable[..., Service], vllm: ServedVllm) -> None:
    vllm.behave(stubborn=True)
    service = serve()
    service.until("  curl")
    service.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        service.process.wait(1)
    pressed = time.monotonic()
    assert service.end(signal.SIGINT).code == 130
    assert time.monotonic() - pressed < 8  # of the nine seconds that vLLM would have had
    no_process_left(vllm.seen["pids"])


def test_a_crash_is_reported_with_its_cause(serve: Callable[..., Service], vllm: ServedVllm) -> None:
    vllm.behave(crash_after_answer=3)
    ran = serve().end()
    assert ran.code == 6
    assert "error: vLLM failed: RuntimeError: Engine core died\n" in ran.stderr
    no_process_left(vllm.seen["pids"])


def test_restart_starts_it_again(serve: Callable[..., Service], vllm: ServedVllm) -> None:
    vllm.behave(crash_after_answer=3)
    service = serve("--restart")
    service.until("  curl")
    warning = service.until("warning")
    assert warning == "warning: vLLM failed: RuntimeError: Engine core died Starting it again in 1 s.\n"
    service.until("  curl")
    assert "Starting it again in 2 s." in service.until("warning")
    assert service.end(signal.SIGTERM).code == 143
    started = [each["pids"] for each in vllm.all_seen]
    assert len(started) >= 2
    no_process_left([pid for pids in started for pid in pids])


def test_restart_does_not_repeat_what_never_worked(serve: Callable[..., Service], vllm: ServedVllm) -> None:
    vllm.behave(log=["ValueError: No available memory for the cache blocks"], exit=1)
    ran = serve("--restart").end()
    assert ran.code == 6
    assert "error: vLLM failed: No room for the KV cache beside the weights.\n" in ran.stderr


def test_a_taken_port(serve: Callable[..., Service], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = serve("--port", str(port)).end()
    assert ran.code == 3
    assert f"error: Port {port} on 127.0.0.1 is taken.\n  Use another one: --port " in ran.stderr
    assert not (tmp_path / "seen.json").exists()


def test_systemd_hears_of_every_step(
    serve: Callable[..., Service], vllm: ServedVllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        service = serve()
        service.until("  curl")
        service.end(signal.SIGTERM)
        systemd.setblocking(False)
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(systemd.recv(1000).decode())
    assert heard == [
        "STATUS=importing vLLM",
        "STATUS=loading weights",
        "STATUS=first answer",
        "READY=1\nSTATUS=ready",
        "STOPPING=1",
    ]
    assert "NOTIFY_SOCKET" not in vllm.seen["environment"]


def test_verbose_shows_vllms_log(serve: Callable[..., Service], vllm: ServedVllm) -> None:
    service = serve("-v")
    service.until("INFO Starting to load model")
    service.until("  curl")
    assert service.end(signal.SIGTERM).code == 143


class TestLooking:
    """--explain and --dry-run start nothing."""

    def test_the_exact_command_and_environment(self, bcli: Bcli, isolation: Path) -> None:
        ran = bcli("demo", "--dry-run", "--api-key", "sesame", "--host", "0.0.0.0", "--", "--enable-lora", "-x", "a b")
        folder = f"{isolation}/state/generation-config-c618e3591504"
        assert ran == Ran(
            0,
            f"# {folder}/generation_config.json: "
            '{"temperature": 0.0, "top_p": 1.0, "top_k": -1, "repetition_penalty": 1.0, "max_new_tokens": 1024,'
            ' "eos_token_id": [2, 195, 196]}\n'
            "VLLM_ENABLE_V1_MULTIPROCESSING=0 \\\n"
            "VLLM_CPU_KVCACHE_SPACE=1 \\\n"
            "VLLM_API_KEY='***' \\\n"
            f"{sys.executable} -m vllm.entrypoints.openai.api_server --model {demo_path('demo')} --dtype bfloat16"
            " --tensor-parallel-size 1 --max-model-len 2048 --gpu-memory-utilization 0.9 --enforce-eager --seed 0"
            f" --host 0.0.0.0 --port 8000 --served-model-name demo --chat-template {template_path('baichuan2')}"
            f" --generation-config {folder} --allowed-origins '[]' --enable-lora -x 'a b'\n",
            f"{HEADLINE}\n",
        )
        assert not (isolation / "state").exists()

    def test_as_json(self, bcli: Bcli) -> None:
        shown = json.loads(bcli("--dry-run", "--json", "--api-key", "sesame", "--temperature", "0.5").stdout)
        assert shown["schema"] == "bcli.serve-dry-run/1"
        assert shown["environment"]["VLLM_API_KEY"] == "***"
        assert shown["argv"][:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
        assert shown["generation_config"]["temperature"] == 0.5

    def test_the_reasons(self, bcli: Bcli) -> None:
        ran = bcli("baichuan-13b-chat", "--profile", "cuda", "--explain", "--port", "9000")
        rows = [line.split(maxsplit=1) for line in ran.stdout.splitlines()]
        table = {row[0]: " ".join(row[1].split()) for row in rows if len(row) == 2}
        assert table["host"] == "127.0.0.1 bcli default"
        assert table["port"] == "9000 --port"
        assert table["allowed_origins"].startswith("none rule server no web page elsewhere")
        assert "over /v1/chat/completions Baichuan 1 gets tokens near the official ones" in ran.stdout

    def test_the_reasons_as_json(self, bcli: Bcli) -> None:
        shown = json.loads(bcli("--explain", "--json").stdout)
        assert shown["server"]["port"] == {"value": 8000, "from": "bcli default", "because": ""}


def test_a_dry_run_of_replicas_shows_every_process(bcli: Bcli) -> None:
    shown = json.loads(bcli("demo", "--replicas", "2", "--dry-run", "--json").stdout)
    ports = [each["argv"][each["argv"].index("--port") + 1] for each in shown["replicas"]]
    assert len(set(ports)) == 2
    router = shown["router"]["argv"]
    assert router[1:3] == ["-m", "vllm_router.launch_router"]
    workers = router[router.index("--worker-urls") + 1 : router.index("--policy")]
    assert workers == [f"http://127.0.0.1:{port}" for port in ports]


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (("demo", "--model", "demo-alibi"), 2, "The model is given twice: demo and --model demo-alibi."),
            (("demo", "demo-alibi"), 2, "One server has one model, and demo-alibi is another."),
            (("demo", "--vllm-version", "0.5.0"), 2, "--vllm-version is for looking only."),
            (("demo", "--host", "0.0.0.0"), 3, "host 0.0.0.0: everybody who reaches this machine could use"),
            (("demo", "--", "--host", "0.0.0.0"), 3, "--host behind -- would pass bcli by."),
            (("demo", "--api-key", "two words"), 2, "The API key holds characters that cannot be sent"),
            (("demo", "--api-key-file", "/nowhere/key"), 4, "There is no such file: /nowhere/key"),
            (("baichuan2-7b-chat", "--profile", "cuda"), 4, "baichuan2-7b-chat is not on this machine."),
            (("demo", "--ssl-keyfile", "/key.pem"), 2, "TLS needs both --ssl-keyfile and --ssl-certfile."),
            (("demo", "--replicas", "3"), 3, "replicas 3: this machine has 2 cores."),
            (
                ("demo", "--replicas", "2", "--host", "0.0.0.0", "--api-key", "x"),
                3,
                "--replicas on 0.0.0.0: vllm-router",
            ),
            (("demo", "--chat-template", "/nowhere/chat"), 4, "There is no such file: /nowhere/chat"),
        ],
    )
    def test_is_told_before_anything_starts(
        self, bcli: Bcli, vllm: ServedVllm, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
    ) -> None:
        ran = bcli(*arguments)
        assert (ran.code, f"error: {message}" in ran.stderr) == (code, True), ran.stderr
        assert not (tmp_path / "seen.json").exists()

    def test_an_empty_key_file(self, bcli: Bcli, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("\n")
        assert "has no key in its first line" in bcli("demo", "--api-key-file", str(tmp_path / "key")).stderr

    def test_an_empty_variable_is_no_key(self, bcli: Bcli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "environ", os.environ | {"VLLM_API_KEY": ""})
        assert bcli("demo", "--host", "0.0.0.0").code == 3
