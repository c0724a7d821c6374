"""Judge Baichuan on a GPU by the self-check's float32 pass: attention backends, quantizations, dtypes.

    python benchmarks/gpu_correctness.py [--only NAME ...] [--lengths 5 129 700] [--tensor-parallel-size 2]

Each case is a small random checkpoint with heads of 128, run by real vLLM with no flag a person would not give; other
kernels than vLLM's first choice have to be asked for. Quantized cases are judged by what the stored weights mean.
A 16-bit engine cannot agree with float32; what its rounding explains is measured by running the reference with the
same rounding: in the engine's dtype, TF32 for float32, and for fp8 with inputs rounded too. A case passes when the
engine's mean error is at most twice that, and its largest at most four times.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu import start_steps

from baichuan_cli.engine.log import divert
from baichuan_cli.self_check.rounding import Precision, Rounding

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from reference import quantized
from reference.baichuan_reference import Shape, scores
from reference.checkpoints import random_weights, write_checkpoint

ROPE = Shape(hidden_size=512, intermediate_size=1024, layers=2, heads=4, vocab_size=2048)
ALIBI = Shape(hidden_size=768, intermediate_size=1024, layers=2, heads=6, vocab_size=2048, alibi=True)
ALIBI_40 = Shape(hidden_size=5120, intermediate_size=2048, layers=2, heads=40, vocab_size=2048, alibi=True)
NORM_HEAD = Shape(hidden_size=256, intermediate_size=512, layers=1, heads=2, vocab_size=125_696, norm_head=True)
NORM_HEAD_ALIBI = Shape(768, 1024, layers=1, heads=6, vocab_size=125_696, norm_head=True, alibi=True)

GPTQ = (quantized.gptq, quantized.GPTQ_CONFIG)
GPTQ_32G = (partial(quantized.gptq, group_size=32), quantized.GPTQ_CONFIG | {"group_size": 32})
AWQ = (quantized.awq, quantized.AWQ_CONFIG)
GRAPHS = {"enforce_eager": False}
FLASH = {"attention_backend": "FLASH_ATTN"}


def _as_they_are(x: Any) -> Any:
    return x


@dataclass(frozen=True)
class Case:
    """One engine; `engine` and `environment` hold what a person would say to vLLM."""

    name: str
    shape: Shape
    dtype: Precision = "bfloat16"
    engine: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    quantize: tuple[quantized.Quantizer, Mapping[str, Any]] | None = None
    # What vLLM rounds while it loads and computes.
    round_weights: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]] = _as_they_are
    fp8_inputs: bool = False


CASES = (
    Case("rope", ROPE),
    Case("rope float16", ROPE, "float16"),
    Case("rope float32", ROPE, "float32"),
    Case("rope, graphs", ROPE, engine=GRAPHS),
    Case("alibi", ALIBI),
    Case("alibi float16", ALIBI, "float16"),
    Case("alibi float32", ALIBI, "float32"),
    Case("alibi, graphs", ALIBI, engine=GRAPHS),
    Case("alibi, flash attention", ALIBI, engine=FLASH),
    Case("alibi, 40 heads", ALIBI_40),
    Case("alibi, 40 heads, graphs", ALIBI_40, engine=GRAPHS),
    Case("alibi, 40 heads, flash attention, graphs", ALIBI_40, engine=FLASH | GRAPHS),
    Case("alibi, chunked prefill", ALIBI, engine={"max_num_batched_tokens": 256, "max_num_seqs": 64}),
    Case("norm head", NORM_HEAD),
    Case("norm head, alibi", NORM_HEAD_ALIBI),
    Case("gptq", ROPE, "float16", quantize=GPTQ),
    Case("gptq, alibi", ALIBI, "float16", quantize=GPTQ),
    Case("gptq, marlin", ROPE, "float16", {"linear_backend": "marlin"}, quantize=GPTQ),
    Case("gptq, exllama", ROPE, "float16", {"linear_backend": "exllama"}, quantize=GPTQ),
    Case("gptq-32g", ROPE, "float16", quantize=GPTQ_32G),
    Case("gptq-32g, alibi, 40 heads", ALIBI_40, "float16", quantize=GPTQ_32G),
    Case("awq", ROPE, "float16", quantize=AWQ),
    Case(
        "fp8",
        ROPE,
        engine={"quantization": "fp8"},
        round_weights=quantized.fp8_weights,
        fp8_inputs=True,
    ),
    Case(
        "fp8, alibi",
        ALIBI,
        engine={"quantization": "fp8"},
        round_weights=quantized.fp8_weights,
        fp8_inputs=True,
    ),
    Case(
        "fp8 weights alone, marlin",
        ROPE,
        engine={"quantization": "fp8"},
        environment={"VLLM_TEST_FORCE_FP8_MARLIN": "1"},
        round_weights=quantized.fp8_weights,
    ),
)


@dataclass(frozen=True)
class Answer:
    """What the engine said to one prompt: log-probabilities of the likeliest tokens, by the row that predicts them."""

    ids: list[int]
    rows: list[tuple[int, dict[int, float]]]
    cached_tokens: int


@dataclass(frozen=True)
class Told:
    """What one engine said, and how it came to run."""

    answers: list[Answer]
    meant: dict[str, torch.Tensor]
    start: dict[str, Any]


@dataclass(frozen=True)
class Error:
    """Differences of log-probabilities from float32, over the likeliest tokens of each position."""

    mean: float
    largest: float

    @classmethod
    def of(cls, differences: Sequence[float]) -> Error:
        return cls(sum(differences) / len(differences), max(differences))


def prompts(shape: Shape, lengths: list[int], batch: int) -> list[list[int]]:
    """Return one prompt of each length, and a batch of short ones."""
    draw = random.Random(0)
    sizes = [*lengths, *(17 + number for number in range(batch))]
    return [[draw.randrange(3, shape.vocab_size) for _ in range(size)] for size in sizes]


def ask(case: Case, lengths: list[int], batch: int, cards: int, folder: Path) -> Told:
    """Run one case on vLLM: all prompts together, again (now from the prefix cache), and some of them alone."""
    from vllm import LLM, SamplingParams

    stored = meant = random_weights(case.shape)
    extra: dict[str, Any] = {"model_max_length": 4096} if case.shape.alibi else {"max_position_embeddings": 4096}
    if case.quantize:
        quantizer, config = case.quantize
        extra["quantization_config"] = dict(config)
        stored, meant = quantized.quantize_linears(stored, quantizer)
    path = write_checkpoint(folder, case.shape, stored, **extra)
    # A small cache of known size: several of these may run on one card at a time.
    small = {"gpu_memory_utilization": 0.1, "kv_cache_memory_bytes": 2 * 2**30}
    settings = {"enforce_eager": True, "max_model_len": 4096, **small, **case.engine}
    sampling = {"temperature": 0, "max_tokens": 16, "ignore_eos": True, "detokenize": False, "logprobs": 4}
    asked = prompts(case.shape, lengths, batch)
    log_path = folder / "vllm.log"
    os.environ.update(case.environment)
    with divert(log_path):
        started = time.perf_counter()
        llm = LLM(
            str(path), dtype=case.dtype, seed=0, skip_tokenizer_init=True, tensor_parallel_size=cards, **settings
        )
        loaded = time.perf_counter() - started
        plain = SamplingParams(**sampling)
        answers = _told(llm, asked, SamplingParams(**sampling, prompt_logprobs=4)) + _told(llm, asked, plain)
        for prompt in asked[: len(lengths)]:
            answers += _told(llm, [prompt], plain)
        del llm
        gc.collect()
    for name in case.environment:
        del os.environ[name]
    start = {**start_steps(log_path.read_text(errors="replace")), "load seconds": loaded}
    return Told(answers, case.round_weights(meant), start)


def _told(llm: Any, prompts: list[list[int]], parameters: Any) -> list[Answer]:
    outputs = llm.generate([{"prompt_token_ids": ids} for ids in prompts], parameters, use_tqdm=False)
    return [_answer(ids, output) for ids, output in zip(prompts, outputs, strict=True)]


def _answer(prompt: list[int], output: Any) -> Answer:
    answer = output.outputs[0]
    positions = list(enumerate((output.prompt_logprobs or [])[1:]))
    positions += list(enumerate(answer.logprobs, start=len(prompt) - 1))
    rows = []
    for row, entry in positions:
        best = sorted(entry, key=lambda token: entry[token].logprob)[-4:]
        rows.append((row, {token: entry[token].logprob for token in best}))
    return Answer([*prompt, *answer.token_ids], rows, output.num_cached_tokens or 0)


def judge(case: Case, told: Told, device: str) -> dict[str, Any]:
    """Compare what the engine said with the reference; return a row of the report."""
    weights = {name: tensor.to(device) for name, tensor in told.meant.items()}
    rounding = Rounding(case.dtype, fp8=case.fp8_inputs)
    engine: list[float] = []
    floor: list[float] = []
    for answer in told.answers:
        places = [(row, token) for row, entry in answer.rows for token in entry]
        said = torch.tensor([value for _, entry in answer.rows for value in entry.values()], device=device)
        [truth] = scores(weights, case.shape, answer.ids, places).places
        [rounded] = scores(weights, case.shape, answer.ids, places, rounding=rounding).places
        engine += (said - truth).abs().tolist()
        floor += (rounded - truth).abs().tolist()
    found, allowed = Error.of(engine), Error.of(floor)
    slack = 1e-3 if case.dtype == "float32" else 0.0
    return {
        "case": case.name,
        "dtype": case.dtype,
        "right": found.mean <= 2 * allowed.mean + slack and found.largest <= 4 * allowed.largest + slack,
        "mean": found.mean,
        "largest": found.largest,
        "mean explained": allowed.mean,
        "largest explained": allowed.largest,
        "cached tokens": sum(answer.cached_tokens for answer in told.answers),
        **told.start,
    }


def main() -> int:
    """Print a line for each case; the exit code tells whether all are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=[case.name for case in CASES], help="names of cases")
    parser.add_argument("--lengths", nargs="*", type=int, default=[5, 129, 700, 3000])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tensor-parallel-size", type=int, default=1)
    arguments = parser.parse_args()
    cases = [case for case in CASES if not arguments.only or case.name in arguments.only]
    told: dict[str, Told] = {}
    rows: list[dict[str, Any]] = []

    def report(row: dict[str, Any]) -> None:
        rows.append(row)
        print("RESULT", json.dumps(row), flush=True)

    # All engines first: vLLM forks its own from this process as long as that has not touched the GPU, and a fork of a
    # process that has computed with several threads hangs.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        for number, case in enumerate(cases):
            folder = Path(name) / str(number)
            try:
                told[case.name] = ask(case, arguments.lengths, arguments.batch, arguments.tensor_parallel_size, folder)
            except (
                ArithmeticError,
                AssertionError,
                AttributeError,
                LookupError,
                OSError,
                RuntimeError,
                TypeError,
                ValueError,
            ) as error:
                print((folder / "vllm.log").read_text(errors="replace")[-4000:])
                report({"case": case.name, "right": False, "error": f"{type(error).__name__}: {error}"})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for case in cases:
        if case.name in told:
            report(judge(case, told.pop(case.name), device))
    return 0 if all(row["right"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
