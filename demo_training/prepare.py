"""Make the training data in a scratch folder that git ignores: `tokenizer.model` and `examples.npz`.

python -m demo_training.prepare
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sentencepiece import SentencePieceProcessor

from .corpus import TANG300, read_poems
from .examples import make_examples, pack
from .phrases import CONVERSATIONS, REQUESTS, SENTENCES, SYSTEM_PROMPTS
from .tokenizer import train_tokenizer

SCRATCH = Path(__file__).resolve().parents[1] / ".scratch" / "demo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=TANG300, help="the tang300 file of Debian's fortunes-zh")
    parser.add_argument("--out", type=Path, default=SCRATCH)
    parser.add_argument("--max-poems", type=int, default=0, help="only the shortest N poems, for a quick trial")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()

    poems = read_poems(args.corpus)
    phrases = [*REQUESTS, *SYSTEM_PROMPTS, *sum(CONVERSATIONS, ()), *sum(SENTENCES, ())]
    chinese = ["".join(poem.titles) + poem.author + poem.text for poem in poems] + phrases
    model = train_tokenizer(chinese, [text for text in phrases if text.isascii()])
    if args.max_poems:
        poems = sorted(poems, key=lambda poem: len(poem.text))[: args.max_poems]

    examples = make_examples(poems, SentencePieceProcessor(model_proto=model), args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "tokenizer.model").write_bytes(model)
    np.savez_compressed(args.out / "examples.npz", **pack(examples))
    tokens = sum(len(example.tokens) for example in examples)
    print(f"{len(poems)} poems, {len(examples)} examples, {tokens} tokens in {args.out}")


if __name__ == "__main__":
    main()
