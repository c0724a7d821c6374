"""Time bcli's tokenizers against the slow tokenizer that users have today, in turn, on the same texts, in one run.

    .venv/bin/python benchmarks/tokenizer.py --models DIR

DIR holds `tokenizer.model` files of Baichuan (`baichuan1.model`, `baichuan2.model`). The slow one is a Python
tokenizer of transformers over SentencePiece, as the checkpoints' own code is. "bcli" is what bcli tokenizes with,
"plugin" what vLLM gets from the plugin. Each takes the texts one by one, and others all in one call, where the fast
ones use every core. First every round has new texts, then all have the same: the Rust tokenizer remembers some of
what it has seen. The ids are compared each time. Target: 10 times the slow tokenizer's tokens per second.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from transformers import PreTrainedTokenizer

from baichuan_cli.tokenizer.load import load_tokenizer
from baichuan_cli.vllm_plugin.fast_tokenizer import build_fast_tokenizer

Run = Callable[[list[str]], list[list[int]]]
ROUNDS = 6
PROMPTS, SENTENCES = 256, 6  # texts in a round, sentences in a text

CHINESE = """
人工智能 模型 我们 可以 通过 数据 训练 一个 系统 问题 研究 方法 结果 表明 中国 发展 经济 社会 技术 城市 学生 老师
学习 语言 文化 历史 时间 工作 生活 家庭 朋友 今天 明天 因为 所以 但是 如果 需要 使用 提高 效率 方面 重要 作用 影响
环境 保护 自然 科学 计算机 网络 信息 安全 服务 用户 产品 公司 市场 的 了 在 和 是 不 有 也 这 那 就 都 而 及 与 或 之
"""
ENGLISH = """
the of and to in is that for it as was with be by on not he this are or his from at which but have an had they you were
their one all we can her has there been if more when will would who so no language model training data system problem
research method result people world government water history science computer network information security service
product company market probably understanding international throughput Baichuan inference quantization
"""


def sentence(draw: random.Random) -> str:
    """Return words in a random order with the punctuation and numbers of ordinary prose, Chinese or English."""
    if draw.random() < 0.5:
        clauses = ["".join(draw.choices(CHINESE.split(), k=draw.randint(3, 8))) for _ in range(draw.randint(1, 4))]
        return "，".join(clauses) + draw.choice(["。", "。", "！", "？\n", f"（{draw.randint(1, 2030)}年）；"])
    words = draw.choices(ENGLISH.split(), k=draw.randint(6, 20))
    words[draw.randrange(len(words))] += draw.choice([",", ";", f" {draw.randint(0, 9999)}", " (e.g.)", "'s"])
    return " ".join(words).capitalize() + draw.choice([". ", ". ", "! ", ".\n"])


class SlowTokenizer(PreTrainedTokenizer):
    """A Python tokenizer over SentencePiece with the fewest methods that transformers asks for."""

    def __init__(self, model_file: Path) -> None:
        self.model = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
        super().__init__(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<unk>")

    @property
    def vocab_size(self) -> int:
        """Return the number of pieces."""
        return int(self.model.get_piece_size())

    def get_vocab(self) -> dict[str, int]:
        """Return the id of each piece."""
        return {self.model.id_to_piece(index): index for index in range(self.vocab_size)}

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return list(self.model.encode(text, out_type=str))

    def _convert_token_to_id(self, token: str) -> int:
        return int(self.model.piece_to_id(token))

    def _convert_id_to_token(self, index: int) -> str:
        return str(self.model.id_to_piece(index))


def contenders(model_file: Path) -> dict[str, dict[str, Run]]:
    """Return what is compared, by the way of calling."""
    slow = SlowTokenizer(model_file)
    plugin = build_fast_tokenizer(model_file)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(model_file, Path(folder) / "tokenizer.model")
        bcli = load_tokenizer(Path(folder))
    return {
        "one by one": {
            "slow": lambda texts: [slow.encode(text, add_special_tokens=False) for text in texts],
            "bcli": lambda texts: [bcli.encode(text) for text in texts],
            "plugin": lambda texts: [plugin.encode(text, add_special_tokens=False).ids for text in texts],
        },
        "one call": {
            "slow": lambda texts: slow(texts, add_special_tokens=False)["input_ids"],
            "bcli": bcli.encode_batch,
            "plugin": lambda texts: [e.ids for e in plugin.encode_batch_fast(texts, add_special_tokens=False)],
        },
    }


def measure(runs: Mapping[str, Run], rounds: Sequence[list[str]], model: Any) -> dict[str, float]:
    """Return the tokens per second of each contender in its best round: whatever else runs only slows one down.

    Raises:
        SystemExit: the ids are not SentencePiece's.
    """
    rates = dict.fromkeys(runs, 0.0)
    for texts in rounds:
        expected = model.encode(texts)
        for name, run in runs.items():
            started = time.perf_counter()
            ids = run(texts)
            seconds = time.perf_counter() - started
            if ids != expected:
                raise SystemExit(f"{name}: these are not SentencePiece's ids")
            rates[name] = max(rates[name], sum(map(len, ids)) / seconds)
    return rates


def main() -> None:
    """Print tokens per second and the ratio to the slow tokenizer called in the same way."""
    parser = argparse.ArgumentParser(description="Time the fast tokenizers against the slow one.")
    parser.add_argument("--models", type=Path, required=True, help="folder with the tokenizer.model files, *.model")
    models = sorted(parser.parse_args().models.glob("*.model"))
    if not models:
        raise SystemExit("There are no *.model files in this folder.")
    draw = random.Random(1)
    print(f"{len(os.sched_getaffinity(0))} cores, {PROMPTS} texts a round, best of {ROUNDS} rounds, tokens per second")
    for model_file in models:
        model = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
        print(f"\n{model_file.stem:20} {'new texts':>18} {'the same again':>18}")
        for way, runs in contenders(model_file).items():
            rounds = [
                ["".join(sentence(draw) for _ in range(SENTENCES)) for _ in range(PROMPTS)] for _ in range(ROUNDS)
            ]
            new, again = measure(runs, rounds, model), measure(runs, [rounds[0]] * ROUNDS, model)
            for name in runs:
                cells = "".join(f"{rates[name]:12,.0f} {rates[name] / rates['slow']:5.1f}x" for rates in (new, again))
                print(f"  {way + ': ' + name:18} {cells}")


if __name__ == "__main__":
    main()
