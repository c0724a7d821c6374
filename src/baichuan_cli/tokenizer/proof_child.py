"""The child process of `proof`: load a tokenizer with transformers, compare it, write what was found to a file.

It has arguments of its own and no others call it: FOLDER, `fast` or `code`, RESULT.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

#: What tokenizers for Chinese get wrong: scripts side by side, white space, numbers, what NFKC rewrites, rare bytes.
TEXTS = (
    "床前明月光，疑是地上霜。",
    "Hello, world! The quick brown fox.",
    "百川大模型 Baichuan2-13B 有 13.9B 参数",
    "  two  spaces\tand a tab\r\nnew line\n\n",
    "2024年12月31日 23:59, 1,234,567.89",
    "（测试）；① ™ ﬁ Å e\u0301 \u3000全角　ＡＢＣ１２３",
    "emoji 😀👨‍👩‍👧 龘 𠮷 \u200b",
    "def f(x):\n    return x ** 2  # 平方\n",
    '▁ <html></html> {"json": [1, 2]}',
    "日本語 한국어 русский العربية",
    " ",
    "",
)


def compare(folder: Path, fast: bool) -> dict[str, Any]:
    """Return the class, the release of transformers, the number of texts and what else was compared, or an `error`."""
    import sentencepiece
    import transformers

    from baichuan_cli.tokenizer.load import load_tokenizer

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=not fast)
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    own = load_tokenizer(folder)
    encoders = {
        "it": lambda text: tokenizer.encode(text, add_special_tokens=False),
        "the tokenizer of bcli": own.encode,
    }
    if rust := _rust_tokenizer(folder):
        encoders["the exact fast tokenizer"] = lambda text: rust.encode(text, add_special_tokens=False).ids
    for text in TEXTS:
        expected = model.encode(text)
        for who, encode in encoders.items():
            if (ids := encode(text)) != expected:
                return {"error": f"{who} makes {ids} of {text!r}, and SentencePiece {expected}"}
    text = TEXTS[0] + tokenizer.eos_token
    if tokenizer.encode(text, add_special_tokens=False) != [*model.encode(TEXTS[0]), own.eos_token_id]:
        return {"error": f"it does not see the {tokenizer.eos_token} behind Chinese text"}
    return {
        "class_name": type(tokenizer).__name__,
        "transformers": transformers.__version__,
        "texts": len(TEXTS) + 1,
        "fast": rust is not None,
    }


def _rust_tokenizer(folder: Path) -> Any:
    """Build the tokenizer that vLLM gets from bcli; None where the model allows no exact one."""
    from baichuan_cli.vllm_plugin.fast_tokenizer import build_fast_tokenizer

    try:
        return build_fast_tokenizer(folder / "tokenizer.model")
    except ValueError:
        return None


def main(folder: str, kind: str, result: str) -> None:
    """Write the outcome to `result`; what the repository's code raises is an outcome."""
    try:
        outcome = compare(Path(folder), kind == "fast")
    except Exception as error:  # noqa: BLE001  the repository's code raises anything, and all of it is told
        outcome = {"error": f"{type(error).__name__}: {error}"}
    Path(result).write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
