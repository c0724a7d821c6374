"""Measure memory bandwidth and 16- or 32-bit matrix products, in a process of its own: `ceiling_child.py DTYPE`.

Prints one JSON object, `{"bandwidth_gb_s": …, "peak_tflops": …}`. Of its own because the engine that is measured
afterwards must find the accelerator, and torch's threads, untouched.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial

_ROUNDS = 8
_ENOUGH_SECONDS = 0.05  # a matrix product of this length shows the peak
_LONGEST_SIDE = 8192


def main() -> None:
    """Measure with what torch has here: the first accelerator, or else the processor."""
    import torch

    dtype = getattr(torch, sys.argv[1])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    numbers = 2**28 if device == "cuda" else 2**26  # float32: 1 GiB, or 256 MiB, far beyond any cache

    def best(work: Callable[[], object]) -> float:
        """Return the shortest of some rounds, in seconds, after one that is not counted."""
        times = []
        for _ in range(1 + _ROUNDS):
            started = time.perf_counter()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
        return min(times[1:])

    source = torch.ones(numbers, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    size = source.numel() * source.element_size()
    read, copy = best(source.sum), best(partial(target.copy_, source))
    side, product = 128, 0.0
    while product < _ENOUGH_SECONDS and side < _LONGEST_SIDE:  # a dtype without instructions of its own is slow
        side *= 2
        matrix = torch.ones(side, side, dtype=dtype, device=device)
        product = best(partial(torch.matmul, matrix, matrix))
    print(  # noqa: T201  the answer to the process that asked
        json.dumps(
            {"bandwidth_gb_s": max(size / read, 2 * size / copy) / 1e9, "peak_tflops": 2 * side**3 / product / 1e12}
        )
    )


if __name__ == "__main__":
    main()
