"""Fixtures of the catalogue's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

from catalog.checkpoint_folder import Folder


class MakeFolder(Protocol):
    """Make a checkpoint folder that lacks only its weights."""

    def __call__(
        self, layout: str = "baichuan-7b", name: str = "model", vocab_size: int = 256, **config: Any
    ) -> Folder: ...


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Return a maker of checkpoint folders in this test's own folder."""

    def make(layout: str = "baichuan-7b", name: str = "model", vocab_size: int = 256, **config: Any) -> Folder:
        return Folder(tmp_path / name, layout, vocab_size=vocab_size, **config)

    return make
