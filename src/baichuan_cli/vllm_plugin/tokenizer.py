"""The tokenizer classes that checkpoints name, without their remote code: the exact Rust tokenizer instead.

The published Python tokenizers fail with transformers 4.34 and later, and are slow. Only `tokenizer.model` is read;
a `tokenizer.json` beside it may come from any conversion, and most of those are wrong for Baichuan 1.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers import AddedToken, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerFast

from baichuan_cli.vllm_plugin.fast_tokenizer import build_fast_tokenizer

_VOCABULARY = "tokenizer.model"


class BaichuanTokenizer(PreTrainedTokenizerFast):  # type: ignore[misc]
    """Tokenize as SentencePiece does with the checkpoint's `tokenizer.model`, special tokens as transformers does.

    Args:
        vocab_file: path of `tokenizer.model`.
        add_bos_token: put `bos_token` in front of a text. The published files all say False, and those that
            transformers 5 saves do not say.
        add_eos_token: put `eos_token` behind a text.
        kwargs: the rest of `tokenizer_config.json`.

    Raises:
        ValueError: there is no `tokenizer.model`, or transformers 4 is asked to add a token to each text.
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
        tokenizer = build_fast_tokenizer(Path(vocab_file))
        super().__init__(
            tokenizer_object=tokenizer,
            vocab_file=vocab_file,
            add_bos_token=add_bos_token,
            add_eos_token=add_eos_token,
            **_without_known_tokens(kwargs, tokenizer.get_vocab()),
        )
        self.vocab_file = vocab_file
        if (add_bos_token or add_eos_token) and self._tokenizer.post_processor is None:
            raise ValueError("add_bos_token and add_eos_token need transformers 5; set them to false or upgrade it.")

    @classmethod
    def _from_pretrained(cls, resolved_vocab_files: dict[str, str | None], *args: Any, **kwargs: Any) -> Any:
        # transformers takes added tokens from a `tokenizer.json`, whatever `vocab_files_names` says.
        return super()._from_pretrained({**resolved_vocab_files, "tokenizer_file": None}, *args, **kwargs)

    @classmethod
    def convert_to_native_format(cls, **kwargs: Any) -> dict[str, Any]:
        """Keep transformers 5 from converting `tokenizer.model` by its own, inexact rules."""
        return kwargs

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> tuple[str, ...]:
        """Save to a folder, `tokenizer.model` included; return the files."""
        files: tuple[str, ...] = super().save_pretrained(save_directory, **kwargs)
        return files + self.save_vocabulary(str(save_directory), kwargs.get("filename_prefix"))

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        """Copy `tokenizer.model` to a folder; return its path there."""
        target = Path(save_directory) / "-".join(filter(None, (filename_prefix, _VOCABULARY)))
        if target.resolve() != Path(self.vocab_file).resolve():
            shutil.copyfile(self.vocab_file, target)
        return (str(target),)


class BaiChuanTokenizer(BaichuanTokenizer):
    """The same under the name that Baichuan-7B's files use."""


def _without_known_tokens(settings: dict[str, Any], vocabulary: dict[str, int]) -> dict[str, Any]:
    """Drop what a checkpoint says of tokens that `tokenizer.model` has: only the model says how they are found.

    The 13B files call `</s>` a `single_word`, and transformers 4 then misses one that touches Chinese text.
    """
    kept = {key: value for key, value in settings.items() if key != "tokenizer_file"}
    added = kept.pop("added_tokens_decoder", {})
    kept["added_tokens_decoder"] = {i: token for i, token in added.items() if str(token) not in vocabulary}
    for key, value in kept.items():
        if isinstance(value, AddedToken) and str(value) in vocabulary:
            kept[key] = str(value)
    return kept


class _BaichuanKey(PretrainedConfig):  # type: ignore[misc]
    model_type = "baichuan-tokenizer"


class _BaiChuanKey(PretrainedConfig):  # type: ignore[misc]
    model_type = "baichuan-7b-tokenizer"


def register_tokenizers() -> None:
    """Make `AutoTokenizer` find both classes by name.

    Each is registered for a config that no checkpoint has. Found by name alone, in transformers 5 they win over a
    checkpoint's remote code even where someone trusts it, and one does not replace the other.
    """
    AutoTokenizer.register(_BaichuanKey, fast_tokenizer_class=BaichuanTokenizer, exist_ok=True)
    AutoTokenizer.register(_BaiChuanKey, fast_tokenizer_class=BaiChuanTokenizer, exist_ok=True)
