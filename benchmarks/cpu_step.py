"""Where a decode step of one sequence goes on this CPU: vLLM and llama.cpp beside what memory allows.

    .venv/bin/python benchmarks/cpu_step.py [--rounds 40] [--threads 2] [--set enforce_eager=false]

The 285M model in bfloat16, all in one process and in turn, so that a busy machine is as busy for everyone:

    read       adding up as many bytes as a step has to read
    products   the model's matrix-vector products alone: by the kernel that vLLM takes (oneDNN, weights packed), by its
               other one (SGL), and by torch.mv
    llama.cpp  whole steps
    bcli       whole steps of vLLM with bcli's settings

It needs what `peers.py` needs. The smallest value is what each can do; the median, what it did here.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cpu_profile import CONFIG
from peer_engines import Answers, bcli, llama_cpp
from peers import prepare

KERNELS = ("oneDNN", "SGL", "torch.mv")
STEPS = 16  # of an engine in one measurement


def products(kernel: str) -> Callable[[], None]:
    """Return what computes all products of a step by a kernel; the head is the last."""
    import torch
    from vllm import _custom_ops as operators
    from vllm.platforms import current_platform

    current_platform.import_kernels()
    hidden, inner, layers = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["num_hidden_layers"]
    block = [(3 * hidden, hidden), (hidden, hidden), (2 * inner, hidden), (hidden, inner)]
    shapes = [*block * layers, (CONFIG["vocab_size"], hidden)]
    inputs = {columns: torch.randn(1, columns, dtype=torch.bfloat16) for _, columns in shapes}
    weights = [torch.randn(shape, dtype=torch.bfloat16) for shape in shapes]
    if kernel == "oneDNN":
        handlers = [operators.create_onednn_mm(weight.t(), 32) for weight in weights]
        calls = [
            partial(operators.onednn_mm, handler, inputs[columns], None)
            for handler, (_, columns) in zip(handlers, shapes, strict=True)
        ]
    elif kernel == "SGL":
        calls = [
            partial(
                operators.weight_packed_linear_cpu,
                inputs[columns],
                torch.ops._C.convert_weight_packed(weight),
                rows,
                None,
            )
            for weight, (rows, columns) in zip(weights, shapes, strict=True)
        ]
    else:
        calls = [partial(torch.mv, weight, inputs[weight.shape[1]][0]) for weight in weights]

    def multiply() -> None:
        for call in calls:
            call()

    return multiply


def reading() -> Callable[[], None]:
    """Return what reads as many bytes as the products do."""
    import torch

    hidden, inner, layers = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["num_hidden_layers"]
    weights = layers * (4 * hidden**2 + 3 * hidden * inner) + CONFIG["vocab_size"] * hidden
    block = torch.ones(2 * weights // 8, dtype=torch.int64)
    return lambda: block.sum() and None


def steps(answer: Answers) -> Callable[[], None]:
    """Return what decodes one sequence for some steps: a prompt of one token is a step too."""
    return lambda: answer([[7000]], STEPS) and None


def main() -> None:
    """Measure, and print milliseconds a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of bcli's plan")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)  # before torch is imported
    seen: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, ["bfloat16"])
        with bcli(folder, "bfloat16", given.set) as ours, llama_cpp(folder, "bfloat16", ()) as theirs:
            measured = {
                "read": (reading(), 1),
                **{f"products, {kernel}": (products(kernel), 1) for kernel in KERNELS},
                "llama.cpp": (steps(theirs), STEPS),
                "bcli": (steps(ours), STEPS),
            }
            for number in range(given.rounds + 1):
                for what, (run, count) in measured.items():
                    started = time.perf_counter()
                    run()
                    if number:  # the first round warms up
                        seen.setdefault(what, []).append(1000 * (time.perf_counter() - started) / count)
    print(f"{given.threads} threads, load {os.getloadavg()[0]:.1f}; milliseconds a step")
    for what, values in seen.items():
        print(f"{what:18} smallest {min(values):6.2f}   median {statistics.median(values):6.2f}")


if __name__ == "__main__":
    main()
