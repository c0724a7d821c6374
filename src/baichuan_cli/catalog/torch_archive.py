"""Looking into a `.bin` checkpoint: whether it is whole, and which tensors it names, without unpickling anything.

Unpickling can run code, so the pickle's opcodes are only listed (`pickletools`), never executed.
"""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path

from baichuan_cli.catalog.json_file import damaged

_ZIP_MAGIC = b"PK\x03\x04"  # torch.save since PyTorch 1.6
_PICKLE_MAGIC = b"\x80\x02"  # torch.save before that


def read_names(path: Path) -> frozenset[str]:
    """Return every text that the checkpoint's pickle holds, the names of its tensors among them.

    The old format of PyTorch before 1.6 has no directory to look into: it gives an empty set.

    Raises:
        BcliError: the file is cut short or is no PyTorch checkpoint.
    """
    with path.open("rb") as file:
        start = file.read(len(_ZIP_MAGIC))
    if start.startswith(_PICKLE_MAGIC):
        return frozenset()
    if start != _ZIP_MAGIC:
        raise damaged(path, f"is no PyTorch checkpoint: it starts with {start!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            # torch.save never compresses; a member that claims to be compressed is left alone.
            members = [member for member in archive.infolist() if member.compress_type == zipfile.ZIP_STORED]
            inside = [member for member in members if member.filename.endswith("/data.pkl")]
            pickled = archive.read(inside[0]) if inside else b""
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError):  # all that zipfile raises on damage
        raise damaged(path, f"is cut short or damaged: {path.stat().st_size:,} bytes without a proper end") from None
    if not pickled:
        raise damaged(path, "is a zip file, but no PyTorch checkpoint")
    try:
        return frozenset(argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str))
    except ValueError:
        raise damaged(path, "is damaged: its directory of tensors makes no sense") from None
