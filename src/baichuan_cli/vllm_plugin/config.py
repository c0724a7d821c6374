"""The configuration of a Baichuan checkpoint, with what its own files leave unsaid made explicit."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, LlamaConfig

_ALIBI_HIDDEN_SIZE = 5120  # Baichuan-13B and Baichuan2-13B
_ROTARY_CLASS = "BaiChuanForCausalLM"  # Baichuan-7B
_NORM_HEAD_VOCAB_SIZE = 125_696  # Baichuan2-7B and -13B
_TRAINED_LENGTH = 4096  # tokens, all four models


class BaichuanConfig(LlamaConfig):  # type: ignore[misc]
    """Describe a Baichuan model as a Llama with two switches.

    The published files say neither which position embedding nor which head a model has; the official code has them
    fixed in each repository. Where `alibi` or `norm_head` is not given it is told from the shape, and from then on
    it is stored, so that a fine-tune with a resized vocabulary keeps its head.

    Args:
        max_position_embeddings: length in tokens; the 13B files have `model_max_length` instead.
        model_max_length: length in tokens where `max_position_embeddings` is absent.
        alibi: ALiBi instead of rotary embeddings. Default: no `max_position_embeddings`, or hidden size 5120, unless
            the class is Baichuan-7B's, which has rotary embeddings in the official code and in vLLM's own.
        norm_head: the rows of `lm_head` are L2-normalised. Default: vocabulary of 125,696.

    Raises:
        ValueError: `alibi` or `norm_head` is no boolean, or a normalised head is tied to the embedding.
    """

    model_type = "baichuan"

    def __init__(
        self,
        max_position_embeddings: int | None = None,
        model_max_length: int | None = None,
        alibi: bool | None = None,
        norm_head: bool | None = None,
        **kwargs: Any,
    ) -> None:
        length = max_position_embeddings or model_max_length or _TRAINED_LENGTH
        super().__init__(max_position_embeddings=length, **kwargs)
        if alibi is None:
            by_shape = max_position_embeddings is None or self.hidden_size == _ALIBI_HIDDEN_SIZE
            alibi = by_shape and _ROTARY_CLASS not in (self.architectures or ())
        if norm_head is None:
            norm_head = self.vocab_size == _NORM_HEAD_VOCAB_SIZE
        for name, value in (("alibi", alibi), ("norm_head", norm_head)):
            if not isinstance(value, bool):
                raise ValueError(f"{name} in the model's config must be true or false, not {value!r}.")
        if norm_head and self.tie_word_embeddings:
            raise ValueError("norm_head with tie_word_embeddings makes no sense: the embedding is not normalised.")
        self.alibi = alibi
        self.norm_head = norm_head


def register_config() -> None:
    """Make `AutoConfig` read `model_type: baichuan` without remote code."""
    AutoConfig.register(BaichuanConfig.model_type, BaichuanConfig, exist_ok=True)
