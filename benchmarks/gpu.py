"""Speed of the true Baichuan shapes on NVIDIA cards, with dummy weights; the same for a Llama of the same shape.

    python benchmarks/gpu.py --model baichuan2-7b
    python benchmarks/gpu.py --model llama-7b
    python benchmarks/gpu.py --model baichuan2-7b --weights gptq --set linear_backend='"marlin"' --measure decode
    python benchmarks/gpu.py --model baichuan2-7b --measure kernels    # where a step at batch 1 goes

One engine a process; the last line is JSON. Prompts are random token ids, all different, and prefix caching is off.
Decode is judged by MBU: bytes that a step must read (all linear layers, the head, the KV cache) per second, against
the cards' peak bandwidth. Prefill is judged by MFU: 2 × parameters × tokens + 2 × layers × hidden × tokens² FLOP.
The steps of the start are read from vLLM's own log.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baichuan_cli.engine.log import divert

#: Baichuan 2's own generation config.
OFFICIAL_SAMPLING = {"temperature": 0.3, "top_k": 5, "top_p": 0.85, "repetition_penalty": 1.05}
GREEDY = {"temperature": 0.0}

BATCHES = (1, 8, 64, 256)

#: What a batch reads and writes when a whole workload is timed: sequences, tokens in, tokens out.
WHOLE = ((1, 32, 128), (256, 512, 128))

#: What vLLM's log tells of a start; seconds where it is a number.
LOG_LINES = {
    "weights, s": r"Model loading took .*? and ([\d.]+) seconds",
    "trace, s": r"Dynamo bytecode transform time: ([\d.]+) s",
    "compile, s": r"torch\.compile(?: and initial profiling/warmup run together)? took ([\d.]+) s in total",
    "graphs, s": r"Graph capturing finished in ([\d.]+) secs",
    "from profiling to graphs, s": r"init engine \(profile, create kv cache, warmup model\) took ([\d.]+) s",
    "KV cache, tokens": r"GPU KV cache size: ([\d,]+) tokens",
    "attention": r"Using (\S+) attention backend",
    "FlashAttention": r"Using FlashAttention version (\d)",
    "linear kernel": r"(?:Selected|Using) (\w+Kernel) for",
}

#: Steps that the log tells by the times of two lines, in whole seconds.
LOG_TIMES = {
    "look at the class, s": (r"non-default args", r"Resolved architecture"),
    "first kernels, s": (r"Graph capturing finished|GPU KV cache size", r"init engine \(profile"),
}


@dataclass(frozen=True)
class Shape:
    """Sizes of a model, as in `catalog/models.yaml`."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    vocab_size: int
    kind: str  # "rope", "alibi" or "llama"

    @property
    def linear_parameters(self) -> int:
        """Parameters of the blocks' linear layers."""
        return self.num_hidden_layers * (4 * self.hidden_size**2 + 3 * self.hidden_size * self.intermediate_size)

    def step_bytes(self, batch: int, context: int, weight_bytes: float) -> float:
        """Bytes that one decode step reads: linear layers, a 16-bit head, and a 16-bit KV cache."""
        cache = batch * context * 2 * self.num_hidden_layers * self.hidden_size * 2
        return weight_bytes * self.linear_parameters + 2 * self.vocab_size * self.hidden_size + cache

    def prefill_flop(self, tokens: int) -> float:
        """Floating-point operations of a prefill."""
        return 2 * self.linear_parameters * tokens + 2 * self.num_hidden_layers * self.hidden_size * tokens**2


SHAPES = {
    "baichuan2-7b": Shape(4096, 11008, 32, 32, 125_696, "rope"),
    "baichuan2-13b": Shape(5120, 13696, 40, 40, 125_696, "alibi"),
    "llama-7b": Shape(4096, 11008, 32, 32, 125_696, "llama"),
    "llama-13b": Shape(5120, 13696, 40, 40, 125_696, "llama"),
}


@dataclass(frozen=True)
class Weights:
    """How the linear layers are stored: what vLLM is told, what stands in config.json, bytes per parameter."""

    engine: Mapping[str, Any]
    config: Mapping[str, Any]
    bytes_each: float


def _gptq(group_size: int) -> Weights:
    details = {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": group_size,
        "desc_act": False,
        "sym": True,
        # vLLM looks into the weights' file for these, and there is none.
        "modules_in_block_to_quantize": [
            *("self_attn.W_pack", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
        ],
    }
    return Weights({"dtype": "float16"}, {"quantization_config": details}, 0.5 + 2 / group_size)


WEIGHTS = {
    "bfloat16": Weights({"dtype": "bfloat16"}, {}, 2),
    "fp8": Weights({"dtype": "bfloat16", "quantization": "fp8"}, {}, 1),
    "gptq": _gptq(128),
    "gptq-32g": _gptq(32),
}


def write_config(folder: Path, shape: Shape, extra: Mapping[str, Any]) -> None:
    """Write a config.json and nothing else: the weights are vLLM's dummies."""
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM" if shape.kind == "llama" else "BaichuanForCausalLM"],
        "model_type": "llama" if shape.kind == "llama" else "baichuan",
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads,
        "num_key_value_heads": shape.num_attention_heads,
        "vocab_size": shape.vocab_size,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "model_max_length" if shape.kind == "alibi" else "max_position_embeddings": 4096,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config | dict(extra)))


class Bench:
    """One engine and what is measured on it."""

    def __init__(
        self, llm: Any, shape: Shape, batches: tuple[int, ...], weight_bytes: float, bandwidth: float, flops: float
    ) -> None:
        self._llm = llm
        self._batches = batches
        self._shape = shape
        self._weight_bytes = weight_bytes
        self._bandwidth = bandwidth
        self._flops = flops
        self._draw = random.Random(0)

    def first_token(self) -> dict[str, float]:
        """Time to the first token of one prompt."""
        figures = {}
        for tokens in (32, 512, 2048):
            first = self._seconds(1, tokens, 1)
            figures[f"first token, {tokens} in, ms"] = 1000 * first
            figures[f"MFU, {tokens} in"] = self._shape.prefill_flop(tokens) / first / self._flops
        return figures

    def decode(self) -> dict[str, float]:
        """Tokens per second while decoding, at several batch sizes."""
        figures = {}
        for batch in self._batches:
            step = self._step_seconds(batch, GREEDY)
            figures[f"decode, batch {batch}, tokens/s"] = batch / step
            read = self._shape.step_bytes(batch, 32 + 96, self._weight_bytes)
            figures[f"MBU, batch {batch}"] = read / step / self._bandwidth
        return figures

    def sampled(self) -> dict[str, float]:
        """Tokens per second while decoding with the official sampling settings."""
        return {
            f"decode sampled, batch {batch}, tokens/s": batch / self._step_seconds(batch, OFFICIAL_SAMPLING)
            for batch in self._batches
            if batch in (1, 64)
        }

    def whole(self) -> dict[str, float]:
        """Output tokens per second of whole batches, prefill included."""
        return {
            f"whole, {batch} x ({tokens_in} in, {tokens_out} out), tokens/s": batch
            * tokens_out
            / self._seconds(batch, tokens_in, tokens_out)
            for batch, tokens_in, tokens_out in WHOLE
            if batch in self._batches
        }

    def kernels(self) -> dict[str, Any]:
        """Where the GPU's time goes at batch 1: microseconds per decode step, by kernel."""
        from torch.profiler import ProfilerActivity, profile

        steps = 64
        self._seconds(1, 32, steps)
        with profile(activities=[ProfilerActivity.CUDA]) as short:
            self._generate(1, 32, 1, GREEDY)
        with profile(activities=[ProfilerActivity.CUDA]) as long:
            self._generate(1, 32, 1 + steps, GREEDY)
        spent, calls = Counter[str](), Counter[str]()
        for sign, run in ((1, long), (-1, short)):
            for event in run.key_averages():
                spent[event.key] += sign * event.self_device_time_total
                calls[event.key] += sign * event.count
        table = [
            {"kernel": name, "us": microseconds / steps, "calls": calls[name] / steps}
            for name, microseconds in spent.most_common(30)
        ]
        return {"kernels at batch 1": table, "kernels at batch 1, us": sum(spent.values()) / steps}

    def _step_seconds(self, batch: int, sampling: Mapping[str, float]) -> float:
        """Return the time of a decode step; two answer lengths in turn, so that prefill cancels out."""
        return (self._seconds(batch, 32, 160, sampling) - self._seconds(batch, 32, 32, sampling)) / 128

    def _seconds(self, batch: int, input_len: int, output_len: int, sampling: Mapping[str, float] = GREEDY) -> float:
        """Return the median wall time of a batch, after one warm-up of the same shape."""
        repeats = 3 if batch < 64 else 2
        times = [self._generate(batch, input_len, output_len, sampling) for _ in range(1 + repeats)]
        return statistics.median(times[1:])

    def _generate(self, batch: int, input_len: int, output_len: int, sampling: Mapping[str, float]) -> float:
        from vllm import SamplingParams

        parameters = SamplingParams(**sampling, max_tokens=output_len, ignore_eos=True, detokenize=False)
        prompts = [
            {"prompt_token_ids": [self._draw.randrange(500, self._shape.vocab_size) for _ in range(input_len)]}
            for _ in range(batch)
        ]
        started = time.perf_counter()
        self._llm.generate(prompts, parameters, use_tqdm=False)
        return time.perf_counter() - started


MEASURES: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "first-token": Bench.first_token,
    "decode": Bench.decode,
    "sampled": Bench.sampled,
    "whole": Bench.whole,
    "kernels": Bench.kernels,
}


def start_steps(log: str) -> dict[str, float | str]:
    """Return what vLLM's log says of the start."""
    found: dict[str, float | str] = {}
    for name, pattern in LOG_LINES.items():
        if values := re.findall(pattern, log):
            value = values[-1].replace(",", "")
            found[name] = float(value) if re.fullmatch(r"[\d.]+", value) else value
    for name, (first, last) in LOG_TIMES.items():
        begin, end = _second(log, first), _second(log, last)
        if begin is not None and end is not None:
            found[name] = (end - begin) % 86_400
    return found


def _second(log: str, pattern: str) -> int | None:
    """Return the second of the day of the last line that has this pattern."""
    times = re.findall(rf" (\d\d):(\d\d):(\d\d) .*(?:{pattern})", log)
    return sum(int(part) * unit for part, unit in zip(times[-1], (3600, 60, 1), strict=True)) if times else None


def main() -> None:
    """Measure one model in one mode."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=SHAPES, required=True)
    parser.add_argument("--weights", choices=WEIGHTS, default="bfloat16")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="another argument of vLLM's")
    parser.add_argument("--measure", nargs="*", choices=MEASURES, default=["first-token", "decode", "whole"])
    parser.add_argument("--folder", type=Path, default=Path("/tmp/bcli-gpu"), help="for config.json and the log")
    parser.add_argument("--bandwidth", type=float, default=3.35e12, help="bytes per second; the default is an H100's")
    parser.add_argument("--flops", type=float, default=989e12, help="dense 16-bit FLOP per second of the card")
    parser.add_argument("--tiny", action="store_true", help="two layers, to try the script where there is no GPU")
    arguments = parser.parse_args()
    shape, batches = SHAPES[arguments.model], BATCHES
    if arguments.tiny:
        shape, batches = Shape(512, 1024, 2, 4, 4096, shape.kind), (1, 2)
    weights = WEIGHTS[arguments.weights]
    settings = {name: json.loads(value) for name, _, value in (each.partition("=") for each in arguments.set)}
    if "kernels" in arguments.measure:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # the profiler sees its own process only
    # vLLM's compile cache goes by the path of the model, so the path must be the same each time.
    folder = arguments.folder / f"{arguments.model}-{arguments.weights}"
    write_config(folder, shape, weights.config)
    log_path = folder / "vllm.log"
    log_path.write_text("")
    with divert(log_path) as log:
        started = time.perf_counter()
        from vllm import LLM

        imported = time.perf_counter()
        engine = {"max_model_len": 4096, "enable_prefix_caching": False, **weights.engine, **settings}
        llm = LLM(model=str(folder), load_format="dummy", skip_tokenizer_init=True, seed=0, **engine)
        loaded = time.perf_counter()
        cards = int(engine.get("tensor_parallel_size", 1))
        bench = Bench(llm, shape, batches, weights.bytes_each, cards * arguments.bandwidth, cards * arguments.flops)
        figures: dict[str, Any] = {
            "model": arguments.model,
            "weights": arguments.weights,
            "settings": settings,
            "import, s": imported - started,
            "engine start, s": loaded - imported,
            **start_steps(log_path.read_text(errors="replace")),
        }
        for name in (None, *arguments.measure):
            figures |= MEASURES[name](bench) if name else {}
            print("RESULT", json.dumps(figures), file=log.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main())
