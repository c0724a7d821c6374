"""Time a whole `bcli generate` on the demo against a plain vLLM script with vLLM's defaults, in turn, in one run.

    .venv/bin/python benchmarks/demo_start.py

Both processes answer the same prompt with the same text. The plain script is given one thing, a size for the KV cache:
by default vLLM takes 0.92 of the memory and fails where less is free. Target: at most half of the plain script's time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 3
PROMPT = "床前明月光"

PLAIN = """
import sys
from vllm import LLM, SamplingParams
from baichuan_cli.demo import demo_path

if __name__ == "__main__":
    llm = LLM(model=str(demo_path("demo")))
    [answer] = llm.generate([sys.argv[1]], SamplingParams(temperature=0, max_tokens=64))
    print("ANSWER", repr(answer.outputs[0].text))
"""


def run(command: list[str]) -> tuple[float, str]:
    """Return the wall time in seconds and what was written to stdout."""
    started = time.perf_counter()
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return time.perf_counter() - started, done.stdout


def main() -> None:
    """Print the medians and their ratio."""
    script = Path(__file__).with_name(".plain_vllm.py")
    script.write_text(PLAIN)
    bcli = [str(Path(sys.executable).parent / "bcli"), "generate", "--prompt", PROMPT]
    plain = [sys.executable, str(script), PROMPT]
    samples: dict[str, list[float]] = {"bcli generate": [], "plain vllm.LLM": []}
    try:
        run(bcli)  # warms the page cache and vLLM's own caches for both
        for _ in range(RUNS):
            seconds, text = run(bcli)
            samples["bcli generate"].append(seconds)
            seconds, log = run(plain)
            samples["plain vllm.LLM"].append(seconds)
            if f"ANSWER {text.removesuffix(chr(10))!r}" not in log:
                raise SystemExit(f"the answers differ: {text!r} is not in\n{log}")
    finally:
        script.unlink()
    for name, values in samples.items():
        print(f"{name:16} {statistics.median(values):6.1f} s  ({min(values):.1f} to {max(values):.1f}, {RUNS} runs)")
    ours_median, plain_median = (statistics.median(values) for values in samples.values())
    print(f"{'ratio':16} {ours_median / plain_median:6.2f}")


if __name__ == "__main__":
    main()
