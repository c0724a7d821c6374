"""A small SentencePiece tokenizer in Baichuan 2's manner, with the files that the published ones come with."""

from __future__ import annotations

import json
from pathlib import Path

import sentencepiece

TEXT = ["床前明月光，疑是地上霜。举头望明月，低头思故乡。", "The quick brown fox jumps over the lazy dog. 12,345"] * 20


def write_tokenizer(folder: Path, vocab_size: int = 384, class_name: str = "BaichuanTokenizer") -> Path:
    """Train `tokenizer.model` and write `tokenizer_config.json` as published, remote code and all.

    The remote code ends the process that runs it.
    """
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        byte_fallback=True,
        split_digits=True,
        user_defined_symbols=["\n", "<reserved_106>", "<reserved_107>"],
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()

    def added(content: str) -> dict[str, object]:
        flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": True}
        return {"__type": "AddedToken", "content": content, **flags}

    tokens = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>"}
    config = {
        "add_bos_token": False,
        "add_eos_token": False,
        "auto_map": {"AutoTokenizer": [f"tokenization_baichuan.{class_name}", None]},
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
        "sp_model_kwargs": {},
        "tokenizer_class": class_name,
        **{name: added(content) for name, content in tokens.items()},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    for module in ("tokenization", "configuration", "modeling"):
        (folder / f"{module}_baichuan.py").write_text("raise SystemExit('remote code ran')\n")
    return folder
