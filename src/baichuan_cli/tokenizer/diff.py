"""A patch as a unified diff, which `patch` and `git apply` can read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from baichuan_cli.tokenizer.patch import FAST, Edit


def unified_diff(edit: Edit) -> str:
    """Return the difference that an edit makes; of `tokenizer.json`, which is one long line, only a summary."""
    if edit.name == FAST:
        was = "new" if edit.before is None else f"replaced, was {len(edit.before):,} bytes"
        return f"# {FAST}: {was}, {len(edit.after):,} bytes\n"
    before, after = _lines(edit.before or b""), _lines(edit.after)
    old = "/dev/null" if edit.before is None else f"a/{edit.name}"
    return "".join(_ended(difflib.unified_diff(before, after, old, f"b/{edit.name}")))


def _lines(content: bytes) -> list[str]:
    # A file in another encoding is shown with escapes: it is read here, and written from its bytes.
    return [line.decode(errors="backslashreplace") for line in content.splitlines(keepends=True)]


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith(("\n", "\r")) else f"{line}\n\\ No newline at end of file\n"
