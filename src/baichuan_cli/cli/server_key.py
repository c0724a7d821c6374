"""The key that clients of a server must send."""

from __future__ import annotations

from pathlib import Path

from baichuan_cli.errors import BcliError


def read_key(key: str | None, file: Path | None) -> str | None:
    """Return the key; None where there is none.

    Args:
        key: from the option or from VLLM_API_KEY; an empty one is none.
        file: holds the key in its first line, and wins.

    Raises:
        BcliError: the key cannot be sent in a header.
        OSError: the file cannot be read.
    """
    if file is not None:
        key, source = file.read_text(encoding="utf-8").partition("\n")[0].strip(), str(file)
        if not key:
            raise BcliError(f"{file} has no key in its first line.", hint=f"Make one: openssl rand -hex 24 > {file}")
    else:
        source = "The API key"
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise BcliError(f"{source} holds characters that cannot be sent in a header.", hint="Use letters and digits.")
    return key or None
