"""Moving `super().__init__(…)` to the end of `__init__` in `tokenization_baichuan.py`, line by line on the bytes."""

from __future__ import annotations

import ast

from baichuan_cli.catalog.tokenizer_code import UnrecognisedCodeError, find_initialiser, parse_code


def repair_code(source: bytes) -> bytes:
    """Return the source with `super().__init__(…)` last in `__init__`; one that works already is returned as it is.

    The lines of the call move, and nothing else: comments, line ends, encoding and byte order mark stay.

    Raises:
        UnrecognisedCodeError: the file is none of the known layouts.
    """
    tree = parse_code(source)
    initialiser = find_initialiser(tree)
    if not initialiser.broken:
        return source
    statements = initialiser.statements
    call, last = statements[initialiser.base_call], statements[-1]
    # Of bytes, splitlines ends lines where Python's parser does; of text it also does so at form feeds and the like.
    lines = source.splitlines(keepends=True)
    start, end, stop = call.lineno - 1, call.end_lineno, last.end_lineno
    moved, passed = lines[start:end], lines[end:stop]
    if passed and not passed[-1].endswith((b"\n", b"\r")):  # the file's last line
        text = moved[-1].rstrip(b"\r\n")
        moved[-1], passed[-1] = text, passed[-1] + moved[-1][len(text) :]
    repaired = b"".join([*lines[:start], *passed, *moved, *lines[stop:]])
    statements.append(statements.pop(initialiser.base_call))
    if not _is_program(tree, repaired):
        raise UnrecognisedCodeError(f"has super().__init__() on a line with something else: line {call.lineno}")
    return repaired


def is_broken(source: bytes) -> bool:
    """Tell whether a source is one that `repair_code` changes."""
    try:
        return repair_code(source) != source
    except UnrecognisedCodeError:
        return False


def _is_program(tree: ast.Module, source: bytes) -> bool:
    """Tell whether a source reads as this very program."""
    try:
        return ast.dump(parse_code(source)) == ast.dump(tree)
    except UnrecognisedCodeError:
        return False
    except RecursionError:
        raise UnrecognisedCodeError("is nested too deeply") from None
