"""vLLM's own server on a checkpoint, with no help from bcli but the plugin: no remote code, the right answer.

bcli's client is tried on it too: what its tests believe of vLLM is held against the real one here.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from baichuan_cli.engine.client import Client, Finish, ServedModel, ServerError
from baichuan_cli.errors import BcliError
from engine.asking import collect, text, with_client
from reference.baichuan_reference import Shape, choices
from reference.checkpoints import random_weights, write_checkpoint
from reference.small_tokenizer import write_tokenizer

pytestmark = pytest.mark.engine

START_UP = 180  # seconds
SHAPE = Shape(alibi=True, vocab_size=384)
NAME = "random"
PROMPT = "床前明月光，疑是地上霜。the quick brown fox"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 13B-like checkpoint with the published files' references to remote code."""
    folder = write_checkpoint(tmp_path_factory.mktemp("bare") / "model", SHAPE, random_weights(SHAPE))
    return write_tokenizer(folder, vocab_size=SHAPE.vocab_size)


@pytest.fixture(scope="module")
def url(checkpoint: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(checkpoint)]
    command += ["--port", str(port), "--host", "127.0.0.1", "--dtype", "float32", "--enforce-eager"]
    command += ["--served-model-name", NAME]
    settings = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    log = checkpoint.parent / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    deadline = time.monotonic() + START_UP
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(health, timeout=5)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the server did not start:\n{log.read_text()[-4000:]}")


def _whole(url: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return a greedy answer that is not streamed."""
    body = json.dumps({"model": NAME, "temperature": 0, "ignore_eos": True, **request}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/completions", body, headers)) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def _metric(url: str, name: str) -> float:
    """Return a metric of the server, all its labels together."""
    with urllib.request.urlopen(f"{url}/metrics") as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_a_completion_is_the_references(url: str, checkpoint: Path) -> None:
    answer = _whole(url, {"prompt": PROMPT, "max_tokens": 8, "return_token_ids": True})["choices"][0]
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(checkpoint / "tokenizer.model"))
    ids = tokenizer.encode(PROMPT)
    assert answer["prompt_token_ids"] == ids
    for token in answer["token_ids"]:
        assert choices(random_weights(SHAPE), SHAPE, ids, len(ids) - 1) == [token]
        ids.append(token)


def test_the_client_streams_what_the_server_answers_whole(url: str) -> None:
    sampling = {"max_tokens": 40, "temperature": 0, "ignore_eos": True}
    pieces, end = with_client(url, lambda client: collect(client.complete(NAME, [5, 6, 7], sampling)))
    whole = _whole(url, {"prompt": [5, 6, 7], "max_tokens": 40})["choices"][0]
    assert text(pieces) == whole["text"]
    assert isinstance(end, Finish) and end.usage
    assert (end.reason, end.usage.prompt_tokens, end.usage.completion_tokens) == ("length", 3, 40)
    assert 1 < len(pieces) <= 40  # vLLM puts tokens together in one event where its sending falls behind


def test_the_client_lists_what_is_served(url: str, checkpoint: Path) -> None:
    assert with_client(url, Client.models) == (ServedModel(NAME, 1024, str(checkpoint)),)


def test_a_client_that_leaves_ends_its_request(url: str) -> None:
    async def leave(client: Client) -> None:
        async with aclosing(client.complete(NAME, [5], {"max_tokens": 1000, "ignore_eos": True})) as answer:
            await anext(answer)

    before = _metric(url, "vllm:generation_tokens_total")
    with_client(url, leave)
    deadline = time.monotonic() + 30
    while _metric(url, "vllm:num_requests_running") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _metric(url, "vllm:num_requests_running") == 0
    assert _metric(url, "vllm:generation_tokens_total") < before + 1000


def test_what_the_server_refuses_is_told(url: str) -> None:
    async def ask(client: Client) -> list[Finish | BcliError]:
        requests = [("other", [5], 1), (NAME, [5] * 1100, 100), (NAME, [5], 0)]
        return [(await collect(client.complete(name, ids, {"max_tokens": most})))[1] for name, ids, most in requests]

    unknown, long, nothing = with_client(url, ask)
    assert isinstance(unknown, ServerError) and isinstance(long, ServerError) and isinstance(nothing, ServerError)
    assert (unknown.status, unknown.message) == (404, f"The server at {url}/v1 has no model 'other'.")
    assert unknown.hint == f"It has: {NAME}"
    assert long.status == 400 and "1024" in long.reason
    assert nothing.status == 400 and "max_tokens" in nothing.reason
