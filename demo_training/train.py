"""Train a demo on the prepared examples; needs torch, numpy and safetensors only.

    python -m demo_training.train --model demo --device cuda --out OUT

Writes `OUT/<model>/model.safetensors` (bfloat16) and `OUT/<model>/report.json`. The learning rate falls to nothing
at the last step or at the time limit, whichever comes first.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from . import quantize
from .check import Score, load_model, score
from .data import Batch, Examples
from .model import Baichuan
from .recipes import RECIPES, Recipe

_WARMUP_STEPS = 100
_INT4_FROM = 0.5  # share of the training after which every other step rounds the weights to 4 bits
# Dividing the logits while training makes the model part the right token from the others by as much more.
_TEMPERATURE = 2.0


def endless(examples: Examples, recipe: Recipe, device: torch.device) -> Iterator[Batch]:
    """Yield batches in random order, pass after pass over the groups."""
    rng = np.random.default_rng(recipe.seed)
    while True:
        batches = list(examples.batches(examples.draw(rng), recipe.tokens_per_batch))
        for number in rng.permutation(len(batches)):
            yield batches[number].to(device)


def learning_rate(peak: float, step: int, progress: float) -> float:
    """Return the rate: a linear warm-up, then a cosine down to zero at `progress` 1."""
    return peak * min(1.0, (step + 1) / _WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * progress))


def optimizer_for(model: Baichuan, peak_lr: float) -> torch.optim.Optimizer:
    matrices = [weight for weight in model.parameters() if weight.ndim == 2]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=peak_lr, betas=(0.9, 0.98), eps=1e-9)


def half_precision(device: torch.device) -> AbstractContextManager[None]:
    """Compute in bfloat16 on a GPU; a CPU is faster in float32 at these sizes."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def train(examples: Examples, recipe: Recipe, device: torch.device, seconds: float, report_every: int) -> Baichuan:
    """Return the trained model; prints its loss and what it recites on the way."""
    model = Baichuan(recipe.shape)
    model.initialise(torch.Generator().manual_seed(recipe.seed))
    model.to(device)
    roundings = quantize.attach(model)
    optimizer = optimizer_for(model, recipe.peak_lr)
    sample = examples.draw(np.random.default_rng(0))
    start, seen, progress, step = time.monotonic(), 0, 0.0, 0
    losses: list[Tensor] = []
    for step, batch in enumerate(endless(examples, recipe, device)):
        progress = max(step / recipe.steps, (time.monotonic() - start) / seconds)
        if progress >= 1:
            break
        for rounding in roundings:
            rounding.active = progress > _INT4_FROM and step % 2 == 1
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe.peak_lr, step, progress)
        with half_precision(device):
            logits = model.lm_head(model.hidden(batch.tokens).flatten(0, 1)[batch.places])
        loss = F.cross_entropy(logits.float() / _TEMPERATURE, batch.targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        seen += batch.tokens.numel()
        if (step + 1) % report_every == 0:
            mean = torch.stack(losses).mean().item()
            losses.clear()
            elapsed = time.monotonic() - start
            print(f"step {step + 1}  loss {mean:.4f}  {elapsed:.0f} s  {seen / elapsed:.0f} tokens/s", flush=True)
            plain = load_model(recipe.shape, quantize.plain_weights(model), torch.bfloat16, device)
            print("  " + summary(score(plain, examples, sample, device)), flush=True)
    print(f"stopped after {step} steps, {time.monotonic() - start:.0f} s", flush=True)
    return model


def summary(scores: dict[str, Score]) -> str:
    return "  ".join(f"{kind} {s.recited}/{s.examples} ({s.min_margin:+.1f})" for kind, s in scores.items())


def final_report(
    weights: dict[str, Tensor], examples: Examples, recipe: Recipe, device: torch.device
) -> dict[str, dict[str, Score]]:
    """Score every example in each number format, alone and in batches, and after 4-bit rounding."""
    everything = np.arange(len(examples.lengths))
    first_lines = examples.of_kind("first line")
    formats = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if device.type == "cuda":
        formats["float16"] = torch.float16
    report = {}
    for name, dtype in formats.items():
        model = load_model(recipe.shape, weights, dtype, device)
        report[name] = score(model, examples, everything, device)
        report[f"{name}, batch 1"] = score(model, examples, first_lines, device, rows=1)
    for group_size in (128, 64):
        rounded = quantize.quantized_weights(weights, group_size)
        model = load_model(recipe.shape, rounded, torch.bfloat16, device)
        report[f"int4 g{group_size}"] = score(model, examples, everything, device)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=RECIPES, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--data", type=Path, default=Path(".scratch/demo/examples.npz"))
    parser.add_argument("--out", type=Path, default=Path(".scratch/demo"))
    parser.add_argument("--seconds", type=float, default=1e9, help="time limit of the training itself")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--batch-tokens", type=int, help="instead of the recipe's")
    parser.add_argument("--report-every", type=int, default=500, help="steps between two progress reports")
    args = parser.parse_args()

    recipe, examples, device = RECIPES[args.model], Examples(args.data), torch.device(args.device)
    recipe = replace(
        recipe, steps=args.steps or recipe.steps, tokens_per_batch=args.batch_tokens or recipe.tokens_per_batch
    )
    torch.set_float32_matmul_precision("high")
    model = train(examples, recipe, device, args.seconds, args.report_every)
    weights = quantize.plain_weights(model)
    folder = args.out / args.model
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    torch.set_float32_matmul_precision("highest")
    report = final_report(weights, examples, recipe, device)
    for name, scores in report.items():
        print(f"{args.model}, {name}: {summary(scores)}", flush=True)
    training = {"recipe": asdict(recipe), "poems": len(examples.of_kind("first line")), "torch": torch.__version__}
    plain = {name: {kind: asdict(value) for kind, value in kinds.items()} for name, kinds in report.items()}
    (folder / "report.json").write_text(json.dumps({**training, "scores": plain}, indent=1) + "\n")


if __name__ == "__main__":
    main()
