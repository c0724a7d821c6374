"""How `tokenizer_config.json` and `special_tokens_map.json` describe a checkpoint's special tokens.

With `"single_word": true`, transformers 4.34 to 4.57 finds a `</s>` only between word boundaries, and Chinese text
beside it is none: `是</s>` does not end. The 13B repositories were published so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_NAMES = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "pad", "sep", "cls", "mask"))

#: Where in a JSON file something stands: keys and indices from the top.
JsonPath = tuple[str | int, ...]


def special_tokens(settings: Mapping[str, Any]) -> Iterator[tuple[JsonPath, Mapping[str, Any]]]:
    """Yield each special token that one file describes by an object, and where.

    `added_tokens_decoder`, which later releases of transformers write, repeats them among the other added tokens.
    """
    named: list[Any] = [settings.get(name) for name in _NAMES]
    contents = {token.get("content") if isinstance(token, dict) else token for token in named if _is_token(token)}
    for name, token in zip(_NAMES, named, strict=True):
        if isinstance(token, dict):
            yield (name,), token
    added = settings.get("added_tokens_decoder")
    for key, token in added.items() if isinstance(added, dict) else ():
        if isinstance(token, dict) and _is_token(token) and token.get("content") in contents:
            yield ("added_tokens_decoder", key), token


def single_words(config: Mapping[str, Any], token_map: Mapping[str, Any]) -> frozenset[str]:
    """Return the special tokens that transformers takes for single words, by their text.

    Args:
        config: what `tokenizer_config.json` holds.
        token_map: what `special_tokens_map.json` holds; what it says of a token goes before the other file.
    """
    return frozenset(
        token["content"]
        for _, token in special_tokens({**config, **token_map})
        if token.get("single_word") is True and isinstance(token.get("content"), str)
    )


def _is_token(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("content"), str))
