"""Jinja templates that give vLLM's server the chat layout of each family.

They say in text what `tokenizer/chat.py` says in token ids. For Baichuan 2 the tokens are the same. Baichuan 1 puts a
space before the first character of every text that it tokenizes, which a template can only do once, so there the
tokens are near the official ones.
"""

from __future__ import annotations

from pathlib import Path

from baichuan_cli.catalog.model import ChatFamily


def template_path(family: ChatFamily | None) -> Path:
    """Return the template of a chat family; for a base model, one that answers every chat with an error.

    Without a template vLLM of before 0.6 makes up a layout that Baichuan never saw.
    """
    return Path(__file__).parent / f"{family or 'base'}.jinja"
