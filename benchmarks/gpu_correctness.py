"""Judge Baichuan on a GPU by the float32 reference forward of the tests: attention backends, quantizations, dtypes.

    python benchmarks/gpu_correctness.py [--only NAME ...] [--lengths 5 129 700]

Each case is a small random checkpoint with heads of 128, run by real vLLM with no flag a person would not give. A
16-bit engine cannot agree with float32; what its dtype explains is measured by running the reference in that dtype.
A case passes when the engine's mean error is at most twice that, and its largest at most four times.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from reference import quantized
from reference.baichuan_reference import Shape, logprobs
from reference.checkpoints import random_weights, write_checkpoint

ROPE = Shape(hidden_size=512, intermediate_size=1024, layers=2, heads=4, vocab_size=2048)
ALIBI = Shape(hidden_size=640, intermediate_size=1024, layers=2, heads=5, vocab_size=2048, alibi=True)
NORM_HEAD = Shape(hidden_size=256, intermediate_size=512, layers=1, heads=2, vocab_size=125_696, norm_head=True)
NORM_HEAD_ALIBI = Shape(640, 1024, layers=1, heads=5, vocab_size=125_696, norm_head=True, alibi=True)

GPTQ = (quantized.gptq, quantized.GPTQ_CONFIG)
AWQ = (quantized.awq, quantized.AWQ_CONFIG)
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Case:
    """One engine; `engine` holds what a person would pass to vLLM."""

    name: str
    shape: Shape
    dtype: str = "bfloat16"
    engine: dict[str, Any] = field(default_factory=dict)
    quantize: Any = None
    extra_error: float = 1.0  # quantization on the fly adds rounding that the reference does not have


CASES = (
    Case("rope", ROPE),
    Case("rope float16", ROPE, "float16"),
    Case("rope float32", ROPE, "float32"),
    Case("alibi", ALIBI),
    Case("alibi float16", ALIBI, "float16"),
    Case("alibi float32", ALIBI, "float32"),
    Case("alibi, graphs", ALIBI, engine={"enforce_eager": False, "gpu_memory_utilization": 0.2}),
    Case("alibi, triton", ALIBI, engine={"attention_backend": "TRITON_ATTN"}),
    Case("alibi, chunked prefill", ALIBI, engine={"max_num_batched_tokens": 256, "max_num_seqs": 64}),
    Case("norm head", NORM_HEAD),
    Case("norm head, alibi", NORM_HEAD_ALIBI),
    Case("gptq", ROPE, "float16", quantize=GPTQ),
    Case("gptq, alibi", ALIBI, "float16", quantize=GPTQ),
    Case("awq", ROPE, "float16", quantize=AWQ),
    Case("fp8", ROPE, engine={"quantization": "fp8"}, extra_error=20.0),
)


@dataclass(frozen=True)
class Error:
    """Differences of log-probabilities from float32, over the likeliest tokens of each position."""

    mean: float
    largest: float


def prompts(shape: Shape, lengths: list[int], batch: int) -> list[list[int]]:
    """Return one prompt of each length, and a batch of short ones."""
    draw = random.Random(0)
    sizes = [*lengths, *(17 + number for number in range(batch))]
    return [[draw.randrange(3, shape.vocab_size) for _ in range(size)] for size in sizes]


def judge(case: Case, device: str, lengths: list[int], batch: int, folder: Path) -> dict[str, Any]:
    """Run one case and compare; return a row of the report."""
    from vllm import LLM, SamplingParams

    stored = meant = random_weights(case.shape)
    extra: dict[str, Any] = {"model_max_length": 4096} if case.shape.alibi else {"max_position_embeddings": 4096}
    if case.quantize:
        quantizer, extra["quantization_config"] = case.quantize
        stored, meant = quantized.quantize_linears(stored, quantizer)
    path = write_checkpoint(folder / case.name.replace(" ", "-"), case.shape, stored, **extra)
    started = time.perf_counter()
    # vLLM keeps the memory of an engine until the process ends, and there are many here.
    settings = {"enforce_eager": True, "max_model_len": 4096, "gpu_memory_utilization": 0.06} | case.engine
    llm = LLM(model=str(path), dtype=case.dtype, seed=0, skip_tokenizer_init=True, **settings)
    loaded = time.perf_counter() - started
    asked = prompts(case.shape, lengths, batch)
    sampling = SamplingParams(temperature=0, max_tokens=16, ignore_eos=True, detokenize=False, logprobs=4)
    with_prompt = SamplingParams(
        temperature=0, max_tokens=16, ignore_eos=True, detokenize=False, logprobs=4, prompt_logprobs=4
    )
    rounds = [
        llm.generate([{"prompt_token_ids": p} for p in asked], each, use_tqdm=False)
        for each in (with_prompt, sampling)
    ]
    weights = {name: tensor.to(device) for name, tensor in meant.items()}
    # Triton multiplies float32 as TF32, which has float16's mantissa.
    rounding = torch.float16 if (device, case.dtype) == ("cuda", "float32") else DTYPES[case.dtype]
    engine, floor, cached = [], [], 0
    for outputs in rounds:  # the second round comes from the prefix cache
        for prompt, output in zip(asked, outputs, strict=True):
            cached += output.num_cached_tokens or 0
            answer = output.outputs[0]
            ids = [*prompt, *answer.token_ids]
            exact = logprobs(weights, case.shape, ids)
            rounded = logprobs(weights, case.shape, ids, dtype=rounding)
            positions = list(enumerate((output.prompt_logprobs or [])[1:]))
            positions += list(enumerate(answer.logprobs, start=len(prompt) - 1))
            for row, entry in positions:
                best = sorted(entry, key=lambda token: entry[token].logprob)[-4:]
                truth = exact[row, best].tolist()
                engine += [abs(entry[token].logprob - value) for token, value in zip(best, truth, strict=True)]
                floor += (rounded[row, best] - exact[row, best]).abs().tolist()
    del llm
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    found, allowed = (Error(sum(values) / len(values), max(values)) for values in (engine, floor))
    slack = 1e-3 if case.dtype == "float32" else 0.0
    right = (
        found.mean <= 2 * case.extra_error * allowed.mean + slack
        and found.largest <= 4 * case.extra_error * allowed.largest + slack
    )
    return {
        "case": case.name,
        "dtype": case.dtype,
        "right": right,
        "mean": found.mean,
        "largest": found.largest,
        "mean explained": allowed.mean,
        "largest explained": allowed.largest,
        "cached tokens": cached,
        "load seconds": loaded,
    }


def main() -> int:
    """Print a line for each case; the exit code tells whether all are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="names of cases")
    parser.add_argument("--lengths", nargs="*", type=int, default=[5, 129, 700, 3000])
    parser.add_argument("--batch", type=int, default=64)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for case in CASES:
            if arguments.only and case.name not in arguments.only:
                continue
            try:
                row = judge(case, device, arguments.lengths, arguments.batch, Path(name))
            except (RuntimeError, ValueError, NotImplementedError, AssertionError) as error:
                row = {"case": case.name, "right": False, "error": f"{type(error).__name__}: {error}"}
            rows.append(row)
            print("RESULT", json.dumps(row), flush=True)
    return 0 if all(row["right"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
