"""Looking into files that a source gives no hash for: whether they are what their names say, and whole."""

from __future__ import annotations

from pathlib import Path

from baichuan_cli.catalog.json_file import read_json
from baichuan_cli.catalog.safetensors_header import read_header
from baichuan_cli.catalog.sentencepiece_file import read_pieces
from baichuan_cli.catalog.torch_archive import read_names
from baichuan_cli.catalog.weight_files import check_is_content
from baichuan_cli.errors import BcliError
from baichuan_cli.hub.source import RemoteFile


def problem_with(path: Path, file: RemoteFile) -> str:
    """Return what is wrong with a file as a clause; empty where nothing is to be seen.

    Args:
        path: where the file lies, under whatever name.
        file: what it should be; where its hash is known there is nothing left to look for.
    """
    if file.size is not None and path.stat().st_size != file.size:
        return f"it has {path.stat().st_size:,} bytes, not {file.size:,}"
    if file.sha256 or file.git_sha1:
        return ""
    try:
        if file.path.endswith(".json"):
            read_json(path)
        elif file.path.endswith((".safetensors", ".bin", ".model")):
            check_is_content(path)
        if file.path.endswith(".safetensors"):
            read_header(path)
        elif file.path.endswith(".bin"):
            read_names(path)
        elif file.path.endswith("tokenizer.model"):
            read_pieces(path)
    except BcliError as error:
        return error.message.replace(path.name, "it", 1).rstrip(".")
    return ""
