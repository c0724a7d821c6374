"""`bcli serve` on this CPU against vLLM's server with its defaults, and against the bare server with bcli's settings.

    .venv/bin/python benchmarks/serve.py start
    .venv/bin/python benchmarks/serve.py load

`start`: from the command to the first answer on `demo`, whole processes, in turn. Targets: at most 1.05 times the bare
server with the same settings, at most 0.7 times vLLM's defaults.

`load`: tokens per second at 16 streams, by bcli's own client, on a random model of 285M parameters and on `demo`; the
servers in turn. Weights are vLLM's dummies: the speed does not depend on their values. Target: at least 1.3 times
vLLM's defaults. Its default dtype is bfloat16 here, which a CPU without such instructions computes slowly, so the same
is measured with bcli's dtype too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cpu_profile import CONFIG

from baichuan_cli.demo import demo_path
from baichuan_cli.engine.client import Client
from baichuan_cli.engine.log import end_of
from baichuan_cli.engine.ports import free_port
from baichuan_cli.engine.readiness import healthy, require_answer

BCLI = [sys.executable, "-m", "baichuan_cli", "serve", "demo"]
API_SERVER = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
STREAMS, INPUT, OUTPUT = 16, 32, 64  # requests at once, tokens in, tokens out


@dataclass(frozen=True)
class Way:
    """One way of starting a server: a command without its port, and what its environment has besides."""

    command: list[str]
    environment: dict[str, str]


def with_bclis_settings() -> Way:
    """Return the bare server as `bcli serve demo` starts it."""
    done = subprocess.run([*BCLI, "--dry-run", "--json"], check=True, capture_output=True, text=True)
    shown = json.loads(done.stdout)
    argv = shown["argv"]
    place = argv.index("--port")
    return Way([*argv[:place], *argv[place + 2 :]], shown["environment"])


def with_its_defaults(model: Path) -> Way:
    """Return vLLM's server with what it cannot do without: room that is left on a machine with other users."""
    return Way([*API_SERVER, "--model", str(model), "--served-model-name", "demo"], {"VLLM_CPU_KVCACHE_SPACE": "2"})


@contextmanager
def running(way: Way) -> Iterator[tuple[str, float]]:
    """Start a server; yield its URL and the seconds to its first answer."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **way.environment}
    started = time.perf_counter()
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            [*way.command, "--port", str(port)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while not healthy(url):
                assert process.poll() is None, end_of(Path(log.name))
                time.sleep(0.05)
            require_answer(url, "demo", None, Path(log.name))
            yield url, time.perf_counter() - started
        finally:
            process.terminate()
            process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what a bare server leaves behind


async def tokens_per_second(url: str, rounds: int) -> float:
    """Return the median of rounds of 16 streams after one to warm up; prompts are random and all different."""
    draw = random.Random(7)
    sampling = {"max_tokens": OUTPUT, "ignore_eos": True, "temperature": 0}

    async def ask(client: Client) -> None:
        prompt = [draw.randrange(500, 3000) for _ in range(INPUT)]
        async for _ in client.complete("demo", prompt, sampling):
            pass

    rates = []
    async with Client(url) as client:
        for _ in range(rounds + 1):
            started = time.perf_counter()
            await asyncio.gather(*(ask(client) for _ in range(STREAMS)))
            rates.append(STREAMS * OUTPUT / (time.perf_counter() - started))
    return statistics.median(rates[1:])


def compare(ways: dict[str, Way], measure: Callable[[str, float], float], runs: int, unit: str) -> None:
    """Measure each way several times, in turn, and print medians, ranges and ratios to the first."""
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            with running(way) as (url, ready):
                seen[name].append(measure(url, ready))
            print(f"  {name}: {seen[name][-1]:.1f}", file=sys.stderr)
    first = statistics.median(next(iter(seen.values())))
    for name, values in seen.items():
        middle = statistics.median(values)
        print(f"{name:45} {middle:8.1f} {unit}  ({min(values):.1f} to {max(values):.1f})  ratio {first / middle:.2f}")


def start(runs: int) -> None:
    """Time the way to the first answer."""
    ways = {
        "bcli serve demo": Way(BCLI, {}),
        "the bare server with the same settings": with_bclis_settings(),
        "vLLM's defaults": with_its_defaults(demo_path("demo")),
    }
    compare(ways, lambda _, ready: ready, runs, "s")


def load(runs: int, rounds: int) -> None:
    """Measure tokens per second."""
    own = with_bclis_settings()
    dtype = own.command[own.command.index("--dtype") + 1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(CONFIG))
        dummy = ["--load-format", "dummy", "--skip-tokenizer-init", "--max-model-len", "2048"]
        for title, model, extra in (("285M parameters", folder, dummy), ("demo", demo_path("demo"), [])):
            print(f"{title}, {STREAMS} streams, {INPUT} tokens in, {OUTPUT} out")
            mine = own.command.copy()
            mine[mine.index("--model") + 1] = str(model)
            default = with_its_defaults(model)
            ways = {
                "bcli's settings": Way([*mine, *extra], {**own.environment, "VLLM_CPU_KVCACHE_SPACE": "2"}),
                f"vLLM's defaults with {dtype}": Way(
                    [*default.command, *extra, "--dtype", dtype], default.environment
                ),
                "vLLM's defaults": Way([*default.command, *extra], default.environment),
            }
            compare(ways, lambda url, _: asyncio.run(tokens_per_second(url, rounds)), runs, "tokens/s")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("start", "load"))
    parser.add_argument("--runs", type=int, default=3, help="servers started for each point")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of requests to each server")
    arguments = parser.parse_args()
    if arguments.what == "start":
        start(arguments.runs)
    else:
        load(arguments.runs, arguments.rounds)


if __name__ == "__main__":
    main()
