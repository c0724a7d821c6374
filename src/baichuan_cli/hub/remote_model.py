"""Learning what a repository holds that the catalogue does not know, before its weights are fetched."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from baichuan_cli.catalog.architecture import read_architecture
from baichuan_cli.catalog.json_file import read_json
from baichuan_cli.catalog.model import DTYPE_BYTES, Model
from baichuan_cli.catalog.quantization import read_quantization
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hub.fetch import Listener, fetch_file
from baichuan_cli.hub.selection import Selection
from baichuan_cli.hub.source import Listing, Source

_CONFIGURATION = ("config.json", "quantize_config.json", "quant_config.json")


def read_remote_model(name: str, source: Source, listing: Listing, selection: Selection, listener: Listener) -> Model:
    """Return the facts about a repository's model, read from its configuration files alone.

    Args:
        name: what the store will call it.
        source: where it is.
        listing: the repository.
        selection: the files that a download would fetch; their weights are what counts.
        listener: told of a configuration file that arrived damaged.

    Raises:
        BcliError: it has no configuration, or is no Baichuan.
    """
    files = [file for file in listing.files if file.path in _CONFIGURATION]
    if not any(file.path == "config.json" for file in files):
        raise BcliError(
            f"{listing.repository} is no model: it has no config.json.",
            hint="Give the repository of a Baichuan checkpoint in the Hugging Face layout.",
            exit_code=ExitCode.NOT_FOUND,
        )
    with tempfile.TemporaryDirectory(prefix="bcli-") as temporary:
        folder = Path(temporary)
        for file in files:
            fetch_file(source, listing, file, folder, listener, threading.Event())
        try:
            config = read_json(folder / "config.json")
            architecture = read_architecture(config, folder / "config.json")
            quantization = read_quantization(config, folder)
        except BcliError as error:
            raise BcliError(
                error.message.replace(str(folder), listing.repository),
                hint="bcli runs the Baichuan models only. Nothing was downloaded.",
                exit_code=error.exit_code,
            ) from None
    dtype = str(config.get("torch_dtype") or config.get("dtype"))
    return Model(
        name=name,
        architecture=architecture,
        weights_dtype=dtype if dtype in DTYPE_BYTES else "float16",
        weight_format="bin" if selection.bin_bytes else "safetensors",
        weight_bytes=selection.weight_bytes,
        quantization=quantization,
    )
