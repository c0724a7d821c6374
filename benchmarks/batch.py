"""Tokens per second of `bcli generate --input` against a bare `LLM.generate` with the same settings, in turn.

    .venv/bin/python benchmarks/batch.py

500 prompts on the bundled demo, 64 tokens each, every answer written to disk as it finishes. Loading is counted in
neither. The demo is the hardest case: its steps are so short that whatever bcli adds shows. Target: at least 0.97.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 3
PROMPTS = 500
MAX_TOKENS = 64
BCLI = str(Path(sys.executable).parent / "bcli")

BARE = """
import json, os, sys, time

arguments = json.load(open(sys.argv[1]))
os.environ.update(arguments["environment"])
from vllm import LLM, SamplingParams

if __name__ == "__main__":
    llm = LLM(**arguments["llm"])
    prompts = [json.loads(line) for line in open(sys.argv[2])]
    started = time.perf_counter()
    outputs = llm.generate(
        [{"prompt_token_ids": prompt["prompt"]} for prompt in prompts],
        SamplingParams(**arguments["sampling_params"]),
        use_tqdm=False,
    )
    seconds = time.perf_counter() - started
    print("RATE", sum(len(output.outputs[0].token_ids) for output in outputs) / seconds)
"""


def write_prompts(path: Path) -> None:
    """Write prompts of 8 to 40 token ids, all different."""
    with path.open("w") as file:
        for number in range(PROMPTS):
            ids = [200 + (number * 37 + position * 101) % 2000 for position in range(8 + number % 33)]
            line = {"prompt": ids, "max_tokens": MAX_TOKENS, "ignore_eos": True}
            file.write(json.dumps(line) + "\n")


def bare(script: Path, arguments: Path, prompts: Path) -> float:
    """Return the tokens per second of a bare `LLM.generate`."""
    command = [sys.executable, str(script), str(arguments), str(prompts)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(next(line for line in done.stdout.splitlines() if line.startswith("RATE")).split()[1])


def ours(folder: Path, prompts: Path, run: int) -> float:
    """Return the tokens per second that bcli reports for the batch."""
    command = [BCLI, "generate", "--input", str(prompts), "--output", str(folder / f"{run}.jsonl"), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    summary = json.loads(done.stdout)
    if summary["completion_tokens"] != PROMPTS * MAX_TOKENS:
        raise SystemExit(f"expected {PROMPTS * MAX_TOKENS} tokens: {summary}")
    return float(summary["completion_tokens"] / summary["seconds"])


def main() -> None:
    """Print the medians and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script, arguments, prompts = folder / "bare.py", folder / "arguments.json", folder / "prompts.jsonl"
        script.write_text(BARE)
        write_prompts(prompts)
        dry_run = subprocess.run(
            [BCLI, "generate", "--input", str(prompts), "--dry-run", "--json"],
            check=True,
            capture_output=True,
            text=True,
        )
        plan = json.loads(dry_run.stdout)
        plan["sampling_params"].update(max_tokens=MAX_TOKENS, ignore_eos=True)
        arguments.write_text(json.dumps(plan))
        rates: dict[str, list[float]] = {"bcli generate --input": [], "bare LLM.generate": []}
        for run in range(RUNS):
            rates["bare LLM.generate"].append(bare(script, arguments, prompts))
            rates["bcli generate --input"].append(ours(folder, prompts, run))
    for label, values in rates.items():
        print(f"{label:22} {statistics.median(values):7.0f} tokens/s  ({min(values):.0f} to {max(values):.0f})")
    ratio = statistics.median(rates["bcli generate --input"]) / statistics.median(rates["bare LLM.generate"])
    print(f"{'ratio':22} {ratio:7.2f}")


if __name__ == "__main__":
    main()
