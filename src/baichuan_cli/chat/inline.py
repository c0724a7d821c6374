"""Emphasis, code and links inside a line of Markdown, also while the line is still arriving.

What is not closed in time stays what it was written as: no character of an answer is ever lost. Two rules are not
CommonMark's. `**重点：**接着` is strong: CommonMark sees no end in stars between punctuation and a letter, and Chinese
needs them there. And a star between two letters or digits is a star, as in 2*3*4.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

_SPECIAL = re.compile(r"[\\`*_~\[]")
_SPAN = re.compile(
    r"""
      \\(?P<escaped>[!-/:-@\[-`{-~])
    | (?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)
    | (?P<double>\*\*|__)(?=\S)(?P<strong>.+?)(?<=\S)(?P=double)(?!\*)
    | (?P<single>[*_])(?![\s*_])(?P<emphasis>.+?)(?<![\s*])(?P=single)(?!\*)
    | ~~(?=\S)(?P<struck>.+?)(?<=\S)~~
    | \[(?P<label>[^\[\]]+)\]\((?P<target>[^()\s]+)\)
    """,
    re.VERBOSE | re.DOTALL,
)
_STYLES = {"code": "cyan", "strong": "bold", "emphasis": "italic", "struck": "strike"}

#: Characters that may be held back behind something that opens and does not close.
_PATIENCE = 300


def format_line(source: str, *, before: str = "") -> Text:
    """Return a line, or a settled part of one, with its styles.

    Args:
        before: the character that stands before it.
    """
    from rich.text import Text

    text = Text()
    position = 0
    while special := _SPECIAL.search(source, position):
        start = special.start()
        text.append(source[position:start])
        span = _span(source, start, before)
        position = span.end() if span else _end_of_run(source, start)
        text.append_text(_styled(span) if span else Text(source[start:position]))
    return text.append(source[position:])


def settled(source: str, *, before: str = "") -> int:
    """Return how many characters from the start look the same whatever follows them."""
    position = 0
    while special := _SPECIAL.search(source, position):
        start = special.start()
        span = _span(source, start, before)
        end = span.end() if span else _end_of_run(source, start)
        waits = end == len(source) if span else _may_open(source, start, end, before)
        if waits and len(source) - start <= _PATIENCE:
            return start
        position = end
    return len(source)


def _span(source: str, start: int, before: str) -> re.Match[str] | None:
    span = _SPAN.match(source, start)
    if span is None or not (span["double"] or span["single"]):
        return span
    marker = span["double"] or span["single"]
    if _is_joined(source, start, start + len(marker), before):
        return None
    return None if marker[0] == "_" and _is_word(source[span.end() : span.end() + 1]) else span


def _is_joined(source: str, start: int, end: int, before: str) -> bool:
    """Tell whether a run of markers is part of a name or a formula: snake_case, 2*3."""
    left = _is_word(source[start - 1] if start else before)
    return left and (source[start] == "_" or _is_word(source[end : end + 1]))


def _is_word(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _end_of_run(source: str, start: int) -> int:
    """Return where a run of the same special character ends."""
    end = start + 1
    while source[start] in "`*_~" and end < len(source) and source[end] == source[start]:
        end += 1
    return end


def _may_open(source: str, start: int, end: int, before: str) -> bool:
    """Tell whether what has not matched yet can still match with what follows."""
    if end == len(source):
        return True
    match source[start]:
        case "\\":
            return False
        case "`":
            return True
        case "[":
            return re.match(r"\[[^\[\]]*(?:\](?:\([^()\s]*)?)?\Z", source[start:]) is not None
        case "~":
            return end - start == 2 and not source[end].isspace()
        case _:
            return not source[end].isspace() and not _is_joined(source, start, end, before)


def _styled(span: re.Match[str]) -> Text:
    from rich.text import Text

    if span["escaped"]:
        return Text(span["escaped"])
    if span["code"]:
        return Text(span["code"], "cyan")
    if span["label"]:
        label = format_line(span["label"])
        return label if span["label"] == span["target"] else label.append(f" ({span['target']})", "dim")
    kind = next(kind for kind in ("strong", "emphasis", "struck") if span[kind])
    inner = format_line(span[kind])
    inner.stylize_before(_STYLES[kind])
    return inner
