"""vLLM's own server on a checkpoint, with no help from bcli but the plugin: no remote code, the right answer."""

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
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from reference.baichuan_reference import Shape, logprobs
from reference.checkpoints import random_weights, write_checkpoint
from reference.small_tokenizer import write_tokenizer

pytestmark = pytest.mark.engine

START_UP = 180  # seconds
SHAPE = Shape(alibi=True, vocab_size=384)
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


def test_a_completion_is_the_references(url: str, checkpoint: Path) -> None:
    request: dict[str, Any] = {"model": str(checkpoint), "prompt": PROMPT, "max_tokens": 8, "temperature": 0}
    request |= {"return_token_ids": True, "ignore_eos": True}
    body = json.dumps(request).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/completions", body, headers)) as response:
        answer = json.load(response)["choices"][0]
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(checkpoint / "tokenizer.model"))
    ids = tokenizer.encode(PROMPT)
    assert answer["prompt_token_ids"] == ids
    for token in answer["token_ids"]:
        assert logprobs(random_weights(SHAPE), SHAPE, ids)[-1].argmax().item() == token
        ids.append(token)
