"""Telling a stored model's record what `bcli patch-tokenizer` changed, so that verification expects it."""

from __future__ import annotations

from pathlib import Path

from baichuan_cli.hub.manifest import FileRecord, read_manifest, write_manifest
from baichuan_cli.tokenizer.originals import read_originals, sha256_of


def record_patches(folder: Path) -> None:
    """Bring the record in a folder up to date with the patched files; a folder without a record needs none.

    Raises:
        BcliError: one of the two records is damaged.
        OSError: the folder cannot be written to.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return
    patches = {}
    for name, original in read_originals(folder).items():
        path = folder / name
        content = path.read_bytes() if path.exists() else b""
        if (sha256 := sha256_of(content)) in original.written:  # else someone changed it since
            patches[name] = FileRecord(size=len(content), sha256=sha256)
    if patches != manifest.patches:
        write_manifest(folder, manifest.model_copy(update={"patches": patches}))
