"""Tokenizers for these tests: small ones trained on the spot, and the published ones where they are at hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache

import pytest

from baichuan_cli.tokenizer.load import Tokenizer, load_tokenizer
from reference.sentencepiece_models import model_file


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Tokenizer]:
    """Return the function that loads a tokenizer by its model's name, from a folder as checkpoints have it."""

    @cache
    def loaded(name: str) -> Tokenizer:
        folder = tmp_path_factory.mktemp(name)
        shutil.copyfile(model_file(name), folder / "tokenizer.model")
        return load_tokenizer(folder)

    return loaded
