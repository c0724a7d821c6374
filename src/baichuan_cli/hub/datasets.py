"""Data sets that benchmarks use, by name. They are files, not models, and need no record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from baichuan_cli import paths


@dataclass(frozen=True, slots=True)
class Dataset:
    """One file of a data set on the Hugging Face hub."""

    name: str
    repository: str
    file: str

    @property
    def folder(self) -> Path:
        """Return the folder that it is downloaded into."""
        return paths.data_dir() / "datasets" / self.name

    @property
    def path(self) -> Path:
        """Return where it lies once it is downloaded."""
        return self.folder / self.file


#: Conversations that people shared, in English for the most part: the usual load of serving benchmarks.
SHAREGPT = Dataset(
    "sharegpt", "anon8231489123/ShareGPT_Vicuna_unfiltered", "ShareGPT_V3_unfiltered_cleaned_split.json"
)

DATASETS = {SHAREGPT.name: SHAREGPT}
