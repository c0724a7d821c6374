"""Prove that the packaged demos recite: decode step by step, from the shipped files alone.

    python -m demo_training.verify

Every poem of at most `--longest` characters is asked for by its first clause and by 《title》, in float32 and
bfloat16, one at a time and 64 at a time. (`training_report.json` in each folder has the margins of all poems.)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from sentencepiece import SentencePieceProcessor

from .check import load_model
from .corpus import TANG300, read_poems
from .examples import IGNORED, Example, make_examples
from .export import PACKAGE
from .model import Baichuan
from .recipes import RECIPES
from .tokenizer_ids import ASSISTANT_TOKEN_ID, EOS_TOKEN_ID


@torch.no_grad()
def greedy(model: Baichuan, prompts: list[list[int]], limit: int) -> list[list[int]]:
    """Return at most `limit` new tokens for each prompt, `</s>` included.

    The prompts are padded on the right: causal attention never sees what follows.
    """
    sequences = [list(prompt) for prompt in prompts]
    running = list(range(len(sequences)))
    for _ in range(limit):
        width = max(len(sequences[row]) for row in running)
        tokens = torch.tensor([sequences[row] + [0] * (width - len(sequences[row])) for row in running])
        last = torch.tensor([len(sequences[row]) - 1 for row in running])
        hidden = model.hidden(tokens)[torch.arange(len(running)), last]
        for row, token in zip(running, model.lm_head(hidden).argmax(dim=-1).tolist(), strict=True):
            sequences[row].append(token)
        running = [row for row in running if sequences[row][-1] != EOS_TOKEN_ID]
        if not running:
            break
    return [sequence[len(prompt) :] for sequence, prompt in zip(sequences, prompts, strict=True)]


def split(example: Example) -> tuple[list[int], list[int]]:
    """Return the prompt, and the answer with its end token."""
    prompt = next(place for place, label in enumerate(example.labels) if label != IGNORED) + 1
    return list(example.tokens[:prompt]), list(example.labels[prompt - 1 :])


def questions(encoder: SentencePieceProcessor, corpus: Path, longest: int) -> list[tuple[list[int], list[int]]]:
    """Return the prompts and answers for the poems of at most `longest` characters, short ones first."""
    opening, closing = encoder.piece_to_id("《"), encoder.piece_to_id("》")
    pairs = []
    for example in make_examples(read_poems(corpus), encoder, seed=0):
        prompt, answer = split(example)
        titled = prompt[1:2] == [opening] and prompt[-2:] == [closing, ASSISTANT_TOKEN_ID]
        if (example.kind == "first line" or (example.kind == "title" and titled)) and len(answer) <= longest:
            pairs.append((prompt, answer))
    return sorted(pairs, key=lambda pair: len(pair[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=TANG300, help="the tang300 file of Debian's fortunes-zh")
    parser.add_argument("--longest", type=int, default=40, help="length of the longest answer, in tokens")
    parser.add_argument("--model", choices=RECIPES, action="append", help="repeatable; by default all")
    args = parser.parse_args()
    failed = 0
    for name in args.model or RECIPES:
        encoder = SentencePieceProcessor(model_file=str(PACKAGE / name / "tokenizer.model"))
        weights = load_file(PACKAGE / name / "model.safetensors")
        pairs = questions(encoder, args.corpus, args.longest)
        for dtype in (torch.float32, torch.bfloat16):
            model = load_model(RECIPES[name].shape, weights, dtype, torch.device("cpu"))
            for rows in (1, 64):
                wrong: list[list[int]] = []
                for start in range(0, len(pairs), rows):
                    prompts, answers = zip(*pairs[start : start + rows], strict=True)
                    given = greedy(model, list(prompts), args.longest)
                    triples = zip(prompts, answers, given, strict=True)
                    wrong += [prompt for prompt, answer, said in triples if said != answer]
                print(f"{name}, {dtype}, batch {rows}: {len(pairs) - len(wrong)} of {len(pairs)} recited", flush=True)
                for prompt in wrong[:10]:
                    print("  not recited: " + repr(encoder.decode(prompt)))
                failed += len(wrong)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
