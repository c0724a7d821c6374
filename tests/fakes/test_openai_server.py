"""The fake server is as slow as it is told, to the millisecond: latency statistics are checked against it."""

from __future__ import annotations

import urllib.request

import pytest

from baichuan_cli.engine.client import Client, Delta
from engine.asking import collect, complete, with_client
from fakes.openai_server import Behaviour, running_server, server_process

FIRST, INTERVAL, TOKENS = 0.05, 0.01, 30  # seconds, seconds, tokens


@pytest.mark.quiet
def test_tokens_come_when_they_are_due() -> None:
    async def ask(client: Client) -> list[list[Delta]]:
        return [(await collect(client.complete("demo", [1], {"max_tokens": TOKENS})))[0] for _ in range(8)]

    with server_process("--first-token-ms", "50", "--token-ms", "10") as url:
        answers = with_client(url, ask)
    late = [[piece.seconds - FIRST - number * INTERVAL for number, piece in enumerate(pieces)] for pieces in answers]
    assert min(map(min, late)) >= 0
    # A busy machine only ever adds to a delay: the best of eight tells what the server does by itself.
    assert min(stream[0] for stream in late) < 0.002
    assert min(stream[-1] for stream in late) < 0.002


def test_metrics_have_vllms_names() -> None:
    with running_server(Behaviour(cached_tokens=3)) as server:
        complete(server.url)
        with urllib.request.urlopen(server.url.replace("/v1", "/metrics")) as response:
            lines = response.read().decode().splitlines()
    labels = '{engine="0",model_name="demo"}'
    assert [line for line in lines if not line.startswith("#")] == [
        f"vllm:num_requests_running{labels} 0.0",
        f"vllm:num_requests_waiting{labels} 0.0",
        f"vllm:kv_cache_usage_perc{labels} 0.0",
        f"vllm:prompt_tokens_total{labels} 4.0",
        f"vllm:generation_tokens_total{labels} 6.0",
        f"vllm:request_success_total{labels} 1.0",
        f"vllm:prefix_cache_queries_total{labels} 4.0",
        f"vllm:prefix_cache_hits_total{labels} 3.0",
    ]
