"""Speed of the true Baichuan shapes on one NVIDIA card, with dummy weights; the same for a Llama of the same shape.

    python benchmarks/gpu.py --model baichuan2-7b --mode bfloat16
    python benchmarks/gpu.py --model llama-7b --mode bfloat16

One engine a process; the last line is JSON. Prompts are random token ids, all different, and prefix caching is off.
Decode is judged by MBU: bytes that a step must read (all linear layers, the head, the KV cache) per second, against
the card's peak bandwidth. Prefill is judged by MFU: 2 × parameters × tokens + 2 × layers × hidden × tokens² FLOP.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPEATS = 3


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
}

#: Settings of vLLM, and the bytes that a parameter of a linear layer takes.
MODES: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "bfloat16": ({"dtype": "bfloat16"}, {}, 2),
    "eager": ({"dtype": "bfloat16", "enforce_eager": True}, {}, 2),
    "triton": ({"dtype": "bfloat16", "attention_backend": "TRITON_ATTN"}, {}, 2),
    "fp8": ({"dtype": "bfloat16", "quantization": "fp8"}, {}, 1),
    "gptq": (
        {"dtype": "float16"},
        {
            "quantization_config": {
                "quant_method": "gptq",
                "bits": 4,
                "group_size": 128,
                "desc_act": False,
                "sym": True,
            }
        },
        0.5 + 2 / 128,
    ),
}


def write_config(folder: Path, shape: Shape, extra: dict[str, Any]) -> None:
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
    (folder / "config.json").write_text(json.dumps(config | extra))


class Bench:
    """One engine and what is measured on it."""

    def __init__(self, llm: Any, vocab_size: int) -> None:
        self._llm = llm
        self._draw = random.Random(0)
        self._vocab_size = vocab_size

    def seconds(self, batch: int, input_len: int, output_len: int) -> float:
        """Return the median wall time of a batch, after one warm-up of the same shape."""
        from vllm import SamplingParams

        sampling = SamplingParams(temperature=0, max_tokens=output_len, ignore_eos=True, detokenize=False)
        times = []
        for _ in range(1 + REPEATS):
            prompts = [
                {"prompt_token_ids": [self._draw.randrange(500, self._vocab_size) for _ in range(input_len)]}
                for _ in range(batch)
            ]
            started = time.perf_counter()
            self._llm.generate(prompts, sampling, use_tqdm=False)
            times.append(time.perf_counter() - started)
        return statistics.median(times[1:])


def measure(bench: Bench, shape: Shape, weight_bytes: float, bandwidth: float, flops: float) -> dict[str, Any]:
    """Return the figures by name."""
    figures: dict[str, Any] = {}
    for tokens in (32, 512, 2048):
        first = bench.seconds(1, tokens, 1)
        figures[f"first token, {tokens} in, ms"] = 1000 * first
        figures[f"MFU, {tokens} in"] = shape.prefill_flop(tokens) / first / flops
    for batch in (1, 8, 64):
        # Two lengths in turn, so that prefill and scheduling of the first step cancel out.
        step = (bench.seconds(batch, 32, 160) - bench.seconds(batch, 32, 32)) / 128
        figures[f"decode, batch {batch}, tokens/s"] = batch / step
        figures[f"MBU, batch {batch}"] = shape.step_bytes(batch, 32 + 96, weight_bytes) / step / bandwidth
    figures["whole, batch 1, 32 in, 128 out, tokens/s"] = 128 / bench.seconds(1, 32, 128)
    figures["whole, 256 x (512 in, 128 out), tokens/s"] = 256 * 128 / bench.seconds(256, 512, 128)
    return figures


def main() -> None:
    """Measure one model in one mode."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=SHAPES, required=True)
    parser.add_argument("--mode", choices=MODES, default="bfloat16")
    parser.add_argument("--bandwidth", type=float, default=3.35e12, help="bytes per second; the default is an H100's")
    parser.add_argument("--flops", type=float, default=989e12, help="dense 16-bit FLOP per second of the card")
    parser.add_argument("--tiny", action="store_true", help="two layers, to try the script where there is no GPU")
    arguments = parser.parse_args()
    shape = SHAPES[arguments.model]
    if arguments.tiny:
        shape = Shape(512, 1024, 2, 4, 4096, shape.kind)
    settings, extra, weight_bytes = MODES[arguments.mode]
    from vllm import LLM

    with tempfile.TemporaryDirectory() as name:
        write_config(Path(name), shape, extra)
        started = time.perf_counter()
        llm = LLM(
            model=name,
            load_format="dummy",
            skip_tokenizer_init=True,
            enable_prefix_caching=False,
            max_model_len=4096,
            seed=0,
            **settings,
        )
        load_seconds = time.perf_counter() - started
    figures = measure(Bench(llm, shape.vocab_size), shape, weight_bytes, arguments.bandwidth, arguments.flops)
    report = {"model": arguments.model, "mode": arguments.mode, "load seconds": load_seconds, **figures}
    print("RESULT", json.dumps(report), flush=True)


if __name__ == "__main__":
    sys.exit(main())
