"""The `cpu` profile against vLLM's own defaults on this CPU: batch 16 on a random bfloat16 model of 285M parameters.

    .venv/bin/python benchmarks/cpu_profile.py

Each point is a process of its own, in turn. Weights are vLLM's dummies: the speed does not depend on their values.
Target: at least 1.4 times the tokens per second (vLLM's defaults start several processes and leave a core idle).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 3
BCLI = str(Path(sys.executable).parent / "bcli")

CONFIG = {
    "architectures": ["BaiChuanForCausalLM"],
    "model_type": "baichuan",
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "vocab_size": 64000,
    "max_position_embeddings": 4096,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}

MEASURE = """
import json, os, sys, time

arguments = json.loads(sys.argv[1])
os.environ.update(arguments["environment"])
from vllm import LLM, SamplingParams

if __name__ == "__main__":
    llm = LLM(**arguments["llm"], load_format="dummy", skip_tokenizer_init=True)
    sampling = SamplingParams(temperature=0, max_tokens=64, ignore_eos=True, detokenize=False)
    def batch(seed):
        ids = [(seed + 7919 * number) % 63000 + 500 for number in range(16 * 32)]
        return [{"prompt_token_ids": ids[start : start + 32]} for start in range(0, 16 * 32, 32)]
    llm.generate(batch(1), sampling, use_tqdm=False)
    started = time.perf_counter()
    for seed in range(2, 6):
        llm.generate(batch(seed), sampling, use_tqdm=False)
    print("RATE", 4 * 16 * 64 / (time.perf_counter() - started))
"""


def rate(script: Path, arguments: dict[str, object]) -> float:
    """Return generated tokens per second."""
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(arguments)], check=True, capture_output=True, text=True
    )
    return float(next(line for line in done.stdout.splitlines() if line.startswith("RATE")).split()[1])


def main() -> None:
    """Print the medians and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "measure.py"
        script.write_text(MEASURE)
        (folder / "config.json").write_text(json.dumps(CONFIG))
        # The settings are those of the profile whatever the model, and this one has no weights to plan with.
        dry_run = subprocess.run(
            [
                BCLI,
                "generate",
                "--model",
                "demo",
                "--profile",
                "cpu",
                "--max-model-len",
                "1024",
                "--dry-run",
                "--json",
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        plan = json.loads(dry_run.stdout)
        plan["llm"]["model"] = str(folder)
        # What vLLM does by itself; only the KV cache is given, since its default takes nearly all memory.
        kv_space = {"VLLM_CPU_KVCACHE_SPACE": plan["environment"]["VLLM_CPU_KVCACHE_SPACE"]}
        defaults = {"environment": kv_space, "llm": {"model": str(folder), "max_model_len": 1024}}
        rates: dict[str, list[float]] = {"cpu profile": [], "vLLM's defaults": []}
        for _ in range(RUNS):
            rates["cpu profile"].append(rate(script, plan))
            rates["vLLM's defaults"].append(rate(script, defaults))
    for label, values in rates.items():
        print(f"{label:16} {statistics.median(values):6.0f} tokens/s  ({min(values):.0f} to {max(values):.0f})")
    ratio = statistics.median(rates["cpu profile"]) / statistics.median(rates["vLLM's defaults"])
    print(f"{'ratio':16} {ratio:6.2f}")


if __name__ == "__main__":
    main()
