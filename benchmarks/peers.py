"""The same 285M model on this CPU through bcli (vLLM), transformers and llama.cpp, in bfloat16 and in float32.

    .venv/bin/python benchmarks/peers.py [--rounds 3] [--dtype bfloat16] [--way NAME ...]

It needs, besides bcli with the extra `cpu`:

    CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF \\
      -DLLAMA_BUILD_SERVER=OFF -DLLAMA_CURL=OFF -DLLAVA_BUILD=OFF" pip install llama-cpp-python==0.3.36 gguf

The checkpoint is random and made on the spot, then written as a Llama's and as GGUF: the same weights. That all three
engines compute the same is shown by their first greedy tokens in float32. One process each, in turn.

Batch 1 and 16: 32 tokens in, 128 and 64 out, tokens out per second. Prefill: tokens of a prompt of 512 a second.
Load: seconds from an interpreter to an engine that answers, imports included. Memory: the process's peak. llama.cpp
keeps its KV cache in float16 in both cases.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from random_model import llama_layout, write_checkpoint

DTYPES = ("bfloat16", "float32")

#: Engine and settings of bcli's plan, by name; the last ones only where they are asked for.
WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bcli": ("bcli", ()),
    "transformers": ("transformers", ()),
    "llama.cpp": ("llama.cpp", ()),
    "bcli, compiled": ("bcli", ("enforce_eager=false",)),
    "bcli, fp8": ("bcli", ("quantization=fp8",)),
}
USUAL = ("bcli", "transformers", "llama.cpp")
COLUMNS = ("batch 1", "batch 16", "prefill", "load", "memory")


def write_llama(folder: Path, config: dict[str, Any], weights: dict[str, Any]) -> None:
    """Write a folder that transformers loads as a Llama."""
    from safetensors.torch import save_file

    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def write_gguf(path: Path, config: dict[str, Any], weights: dict[str, Any], dtype: str) -> None:
    """Write a GGUF file without a vocabulary."""
    import gguf
    import torch

    heads, width = config["num_attention_heads"], config["hidden_size"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, weight in weights.items():
        if "q_proj" in name or "k_proj" in name:
            # llama.cpp rotates neighbouring pairs of a head, transformers its two halves.
            halves = weight.reshape(heads, 2, width // heads // 2, width)
            weight = halves.swapaxes(1, 2).reshape(width, width).contiguous()
        stored = names.get_name(name, try_suffixes=(".weight",))
        if dtype == "bfloat16" and weight.ndim == 2:
            raw = weight.view(torch.uint8).numpy()
            writer.add_tensor(stored, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(stored, weight.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def prepare(folder: Path, dtypes: list[str]) -> None:
    """Write the checkpoint in every form."""
    (folder / "baichuan").mkdir()
    write_checkpoint(folder / "baichuan")
    config, weights = llama_layout(folder / "baichuan")
    write_llama(folder / "llama", config, weights)
    for dtype in dtypes:
        write_gguf(folder / f"{dtype}.gguf", config, weights, dtype)


def measured(way: str, dtype: str, folder: Path) -> dict[str, Any]:
    """Measure one way in a process of its own."""
    engine, assignments = WAYS[way]
    script = Path(__file__).with_name("peer_engines.py")
    done = subprocess.run(
        [sys.executable, str(script), engine, dtype, str(folder), *assignments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{way}, {dtype}:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    shown = "  ".join(f"{column} {result[column]:.1f}" for column in COLUMNS)
    print(f"  {dtype}, {way}: {shown}", file=sys.stderr)
    return result


def table(dtype: str, results: dict[str, list[dict[str, Any]]]) -> None:
    """Print medians with ranges of the rates, and say whose first tokens are the same."""
    print(f"\n| {dtype} | batch 1, tokens/s | batch 16 | prefill | load, s | peak memory, GiB |")
    print("|---|---|---|---|---|---|")
    for way, runs in results.items():
        cells = []
        for column in COLUMNS:
            values = [run[column] for run in runs]
            digits = 1 if column in ("load", "memory") else 0
            cell = f"{statistics.median(values):,.{digits}f}"
            cells.append(cell if digits else f"{cell} ({min(values):,.0f}–{max(values):,.0f})")
        print(f"| {way} | {' | '.join(cells)} |")
    first = {way: runs[0]["answers"] for way, runs in results.items()}
    same = [way for way, answers in first.items() if answers == next(iter(first.values()))]
    print(f"\nThe same first tokens: {', '.join(same)}; others: {', '.join(set(first) - set(same)) or 'none'}.")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=DTYPES, action="append", help="repeatable; default: both")
    parser.add_argument("--way", choices=tuple(WAYS), action="append", help=f"repeatable; default: {', '.join(USUAL)}")
    given = parser.parse_args()
    dtypes, ways = given.dtype or list(DTYPES), given.way or list(USUAL)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    results: dict[str, dict[str, list[dict[str, Any]]]] = {dtype: {way: [] for way in ways} for dtype in dtypes}
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), dtypes)
        for _ in range(given.rounds):
            for dtype in dtypes:
                for way in ways:
                    results[dtype][way].append(measured(way, dtype, Path(name)))
    for dtype in dtypes:
        table(dtype, results[dtype])


if __name__ == "__main__":
    main()
