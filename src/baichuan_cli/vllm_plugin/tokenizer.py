"""The tokenizer classes that checkpoints name, without their remote code: the exact Rust tokenizer instead.

The published Python tokenizers fail with transformers 4.34 and later, and are slow. Only `tokenizer.model` is read;
a `tokenizer.json` beside it may come from any conversion, and most of those are wrong for Baichuan 1.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerFast

_VOCABULARY = "tokenizer.model"


class BaichuanTokenizer(PreTrainedTokenizerFast):  # type: ignore[misc]
    """Tokenize as SentencePiece does with the checkpoint's `tokenizer.model`.

    Args:
        vocab_file: path of `tokenizer.model`.
        add_bos_token: put `bos_token` in front of a text. Every official chat and base model has False.
        add_eos_token: put `eos_token` behind a text.
        kwargs: the rest of `tokenizer_config.json`.

    Raises:
        ValueError: there is no `tokenizer.model`.
    """

    vocab_files_names = {"vocab_file": _VOCABULARY}
    model_input_names = ["input_ids", "attention_mask"]
    slow_tokenizer_class = None

    def __init__(
        self,
        vocab_file: str | None = None,
        add_bos_token: bool = False,
        add_eos_token: bool = False,
        **kwargs: Any,
    ) -> None:
        if vocab_file is None:
            raise ValueError(f"This checkpoint has no {_VOCABULARY}; a Baichuan tokenizer is built from that file.")
        from baichuan_cli.vllm_plugin.fast_tokenizer import build_fast_tokenizer

        kwargs.pop("tokenizer_file", None)
        self.vocab_file = vocab_file
        super().__init__(
            tokenizer_object=build_fast_tokenizer(Path(vocab_file)),
            add_bos_token=add_bos_token,
            add_eos_token=add_eos_token,
            **kwargs,
        )

    @classmethod
    def convert_to_native_format(cls, **kwargs: Any) -> dict[str, Any]:
        """Keep transformers 5 from converting `tokenizer.model` by its own, inexact rules."""
        return kwargs

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        """Copy `tokenizer.model` to a folder; return its path there."""
        target = Path(save_directory) / "-".join(filter(None, (filename_prefix, _VOCABULARY)))
        if target.resolve() != Path(self.vocab_file).resolve():
            shutil.copyfile(self.vocab_file, target)
        return (str(target),)


class BaiChuanTokenizer(BaichuanTokenizer):
    """The same under the name that Baichuan-7B's files use."""


class _BaichuanKey(PretrainedConfig):  # type: ignore[misc]
    model_type = "baichuan-tokenizer"


class _BaiChuanKey(PretrainedConfig):  # type: ignore[misc]
    model_type = "baichuan-7b-tokenizer"


def register_tokenizers() -> None:
    """Make `AutoTokenizer` find both classes by name.

    Each is registered for a config that no checkpoint has. Found by name alone they win over a checkpoint's remote
    code even where someone trusts it, and one does not replace the other.
    """
    AutoTokenizer.register(_BaichuanKey, fast_tokenizer_class=BaichuanTokenizer, exist_ok=True)
    AutoTokenizer.register(_BaiChuanKey, fast_tokenizer_class=BaiChuanTokenizer, exist_ok=True)
