"""The plugin's product for one token against cuBLAS, on one NVIDIA card: microseconds and TB/s for each kind of layer.

    python benchmarks/gpu_matvec.py

Each product has weights that are not in the card's cache, because many of them take turns, and something small stands
between two products, as in a model. Everything is replayed from a CUDA graph. The last column is the relative error of
the plugin's product against float32; bfloat16 alone is worth 0.0017.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from baichuan_cli.vllm_plugin.matvec import matvec

#: Rows and columns of the weights; the last three are those of one of two cards.
LAYERS = {
    "7B W_pack": (12288, 4096),
    "7B o_proj": (4096, 4096),
    "7B gate and up": (22016, 4096),
    "7B down_proj": (4096, 11008),
    "7B lm_head": (125696, 4096),
    "13B W_pack": (15360, 5120),
    "13B o_proj": (5120, 5120),
    "13B gate and up": (27392, 5120),
    "13B down_proj": (5120, 13696),
    "7B down_proj, halved": (4096, 5504),
    "13B W_pack, halved": (7680, 5120),
    "13B down_proj, halved": (5120, 6848),
}
BEYOND_CACHE = 400_000_000  # bytes of weights that take turns
PRODUCTS = 24  # in one replay, at least
REPLAYS = 11


def seconds(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, weights: list[Tensor]) -> float:
    """Return the median time of one product."""
    with torch.cuda.stream(torch.cuda.Stream()):
        product(x, weights[0])  # compiled before it is captured
    torch.cuda.synchronize()
    rounds = max(1, PRODUCTS // len(weights))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(rounds):
            for weight in weights:
                product(x, weight)
                x.mul_(1.0)
    times = []
    for _ in range(REPLAYS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1000 / (rounds * len(weights)))
    return statistics.median(times)


def main() -> None:
    """Print one line a layer."""
    print(f"{'layer':22} {'cuBLAS us':>9} {'plugin us':>9} {'TB/s':>5} {'error':>7}")
    for name, (rows, columns) in LAYERS.items():
        copies = max(2, BEYOND_CACHE // (2 * rows * columns) + 1)
        weights = [torch.randn(rows, columns, device="cuda", dtype=torch.bfloat16) * 0.02 for _ in range(copies)]
        x = torch.randn(1, columns, device="cuda", dtype=torch.bfloat16)
        exact = x.float() @ weights[0].float().T
        error = ((matvec(x, weights[0]).float() - exact).norm() / exact.norm()).item()
        theirs, ours = (seconds(product, x, weights) for product in (functional.linear, matvec))
        speed = 2 * rows * columns / ours / 1e12
        print(f"{name:22} {1e6 * theirs:9.1f} {1e6 * ours:9.1f} {speed:5.2f} {error:7.4f}", flush=True)


if __name__ == "__main__":
    main()
