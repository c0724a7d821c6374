"""Time the first answer of `bcli chat demo` against vLLM's own server and the smallest client there can be.

    .venv/bin/python benchmarks/chat_start.py

All answer the same question with the same text, in turn, in one run: `bcli chat demo`, with the question through a
pipe; vLLM's server with its defaults, asked over HTTP as soon as /health says that it is up; and the very server that
bcli starts, asked in the same way, which tells what bcli itself costs. The server with defaults is given a chat
template, without which it answers no chat, and a size for the KV cache, without which it takes 0.92 of the memory.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from baichuan_cli.catalog.model import ASSISTANT_ID, USER_ID
from baichuan_cli.chat_templates import template_path
from baichuan_cli.demo import demo_path
from baichuan_cli.tokenizer.load import load_tokenizer

RUNS = 3
QUESTION = "《静夜思》"
BCLI = str(Path(sys.executable).parent / "bcli")
ENVIRONMENT = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
PATIENCE = 600  # seconds


class Sample(NamedTuple):
    """Seconds since the start of the process, and the answer."""

    first: float  # until the first text
    whole: float  # until everything has ended
    text: str


def chat() -> Sample:
    """Ask through `bcli chat`."""
    started = time.perf_counter()
    with subprocess.Popen(
        [BCLI, "chat", "demo", "--no-save"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(QUESTION.encode())
        process.stdin.close()
        begin = os.read(process.stdout.fileno(), 1)
        first = time.perf_counter() - started
        rest = process.stdout.read()
    return Sample(first, time.perf_counter() - started, (begin + rest).decode().removesuffix("\n"))


def server(command: Sequence[str], variables: Mapping[str, str], body: Mapping[str, object]) -> Sample:
    """Ask a server for a stream as soon as it is up, and stop it."""
    port = int(command[command.index("--port") + 1])
    key = {"Authorization": f"Bearer {variables['VLLM_API_KEY']}"} if "VLLM_API_KEY" in variables else {}
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=ENVIRONMENT | variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not healthy(port):
            if process.poll() is not None or time.perf_counter() - started > PATIENCE:
                raise SystemExit(f"this server does not start: {' '.join(command)}")
            time.sleep(0.05)
        route = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        content = json.dumps({**body, "model": "demo", "stream": True})
        connection.request("POST", route, content, {"Content-Type": "application/json", **key})
        text, first = "", 0.0
        for line in connection.getresponse():
            if piece := text_of(line):
                first = first or time.perf_counter() - started
                text += piece
        process.terminate()
    return Sample(first, time.perf_counter() - started, text)


def healthy(port: int) -> bool:
    """Tell whether a server says that it is up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def text_of(line: bytes) -> str:
    """Return the text in a line of a stream; empty where there is none."""
    if not line.startswith(b"data: {"):
        return ""
    [*choices] = json.loads(line.removeprefix(b"data: "))["choices"]
    return "".join(choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices)


def with_defaults() -> Sample:
    """Ask vLLM's server with its defaults."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(demo_path("demo"))]
    command += ["--served-model-name", "demo", "--port", str(port), "--chat-template", str(template_path("baichuan2"))]
    return server(command, {}, {"messages": [{"role": "user", "content": QUESTION}], "temperature": 0})


def as_bcli_starts_it() -> Sample:
    """Ask the server that bcli starts, with token ids."""
    looked = subprocess.run([BCLI, "chat", "demo", "--dry-run", "--json"], check=True, capture_output=True, text=True)
    planned = json.loads(looked.stdout)
    ids = [USER_ID, *load_tokenizer(demo_path("demo")).encode(QUESTION), ASSISTANT_ID]
    body = {"prompt": ids, "temperature": 0, "max_tokens": 1024}
    return server(planned["argv"], planned["environment"], body)


def main() -> None:
    """Print the medians and the ratios."""
    kinds: dict[str, Callable[[], Sample]] = {
        "bcli chat": chat,
        "vLLM's defaults": with_defaults,
        "the same server": as_bcli_starts_it,
    }
    texts = {chat().text}  # warms the page cache and vLLM's own caches
    samples: dict[str, list[Sample]] = {name: [] for name in kinds}
    for _ in range(RUNS):
        for name, ask in kinds.items():
            samples[name].append(ask())
            texts.add(samples[name][-1].text)
    if len(texts) != 1:
        raise SystemExit(f"the answers differ: {texts}")
    print(f"{'':16} first text   all ended   (seconds, median of {RUNS})")
    medians = {
        name: [statistics.median(each) for each in list(zip(*taken, strict=True))[:2]]
        for name, taken in samples.items()
    }
    for name, (first, whole) in medians.items():
        spread = f"{min(each.first for each in samples[name]):.1f} to {max(each.first for each in samples[name]):.1f}"
        print(f"{name:16} {first:10.1f}  {whole:10.1f}   first text {spread}")
    ours, *others = medians.items()
    for name, (first, whole) in others:
        print(f"{'against ' + name:24} {ours[1][0] / first:.2f} {ours[1][1] / whole:10.2f}")


if __name__ == "__main__":
    main()
