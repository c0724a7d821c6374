"""Markdown as it arrives, turned into what a terminal shows, and nothing that was shown is ever drawn again.

A line is laid out on its own, because models write one paragraph or item a line, and because the lines of a poem must
stay lines. Code comes out line by line with nothing before or behind it, so that it can be copied. Only a table must
be seen whole before its columns are known; until then it is `unfinished`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from baichuan_cli.chat.inline import format_line, settled
from baichuan_cli.chat.wrap import Wrapper

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

#: The beginning of a line that does not tell yet what the line will be.
_UNDECIDED = re.compile(
    r"\s*(?:\#{0,6}|[-*+_](?:\s*[-*_])*|\d{0,9}[.)]?|(?:>\s?)*|`{1,2}|`{3,}.*|~{1,2}|~{3,}.*|\|.*)\s*"
)
_FENCE = re.compile(r"(?P<indent>\s*)(?P<fence>`{3,}|~{3,})\s*(?P<language>[^\s`]*)[^`]*")
_RULE = re.compile(r"\s*([-*_])(?:\s*\1){2,}\s*")
_ROW = re.compile(r"\s*\|(?P<cells>.*?)\|?\s*")
_TABLE_HEAD = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)*\s*:?-+:?\s*\|?\s*")
_START = re.compile(
    r"(?P<indent>[ \t]*)"
    r"(?:(?P<heading>\#{1,6})[ \t]+|(?P<bullet>[-*+])[ \t]+|(?P<number>\d{1,9}[.)])[ \t]+|(?P<quote>(?:>[ ]?)+))?"
)
_BETWEEN_CELLS = re.compile(r"(?<!\\)\|")

_JUSTIFY: dict[tuple[bool, bool], Literal["left", "center", "right"]] = {
    (False, False): "left",
    (True, False): "left",
    (True, True): "center",
    (False, True): "right",
}

#: Lines of code that are looked at again to colour the next one, such as for the start of a long string.
_CODE_CONTEXT = 100


class MarkdownStream:
    """An answer in Markdown, in whatever pieces it arrives."""

    def __init__(self) -> None:
        self._rest = ""  # of the line, not laid out yet
        self._before = ""  # the character before it
        self._in_line = False
        self._style = ""
        self._wrapper = Wrapper()
        self._blank = self._begun = False
        self._fence: re.Match[str] | None = None
        self._code: list[str] = []
        self._rows: list[str] = []

    @property
    def unfinished(self) -> Table | None:
        """Return the table that is arriving, as far as it is there."""
        return _table([*self._rows, self._rest] if self._rest else self._rows)

    def feed(self, text: str, width: int) -> Iterator[Text | Table]:
        """Take some more of the answer, and yield what can be shown for good. Text brings its own line breaks.

        Args:
            width: columns of the terminal.
        """
        self._rest += text
        while "\n" in self._rest:
            line, _, rest = self._rest.partition("\n")
            yield from self._whole_line(line.rstrip("\r"), width)
            self._rest, self._before = rest, ""
        if not self._in_line and (self._fence or _UNDECIDED.fullmatch(self._rest)):
            return
        yield from self._begin_line(width)
        length = settled(self._rest, before=self._before)
        yield self._flow(self._rest[:length], width)
        self._rest = self._rest[length:]

    def finish(self, width: int) -> Iterator[Text | Table]:
        """Yield the rest; the answer ends here, wherever that is."""
        if self._rest or self._in_line:
            yield from self._whole_line(self._rest, width)
        self._rest = self._before = ""
        yield from self._end_table()

    def _whole_line(self, line: str, width: int) -> Iterator[Text | Table]:
        from rich.text import Text

        if self._in_line:
            yield self._flow(line, width)
            yield self._wrapper.end(width)
            self._in_line = False
        elif self._fence:
            yield self._code_line(line, self._fence)
        elif _ROW.fullmatch(line):
            self._rows.append(line)
        else:
            yield from self._end_table()
            if not line.strip():
                self._blank = True
            elif fence := _FENCE.fullmatch(line):
                yield from self._gap()
                self._fence, self._code = fence, []
                yield Text(line.strip() + "\n", "dim")
            elif _RULE.fullmatch(line):
                yield from self._gap()
                yield Text("─" * min(width, 24) + "\n", "dim")
            else:
                self._rest = line
                yield from self._begin_line(width)
                yield self._flow(self._rest, width)
                yield self._wrapper.end(width)
                self._in_line = False

    def _begin_line(self, width: int) -> Iterator[Text | Table]:
        """Lay out what stands before the line's text, and leave the text in `_rest`."""
        from rich.text import Text

        if self._in_line:
            return
        yield from self._end_table()
        yield from self._gap()
        start = _START.match(self._rest)
        assert start is not None  # it can match nothing at all
        self._style = ("bold underline" if start["heading"] == "#" else "bold") if start["heading"] else ""
        self._rest, self._before, self._in_line = self._rest[start.end() :], "", True
        indent = start["indent"].expandtabs(4)
        if start["quote"]:
            prefix = hanging = Text(indent + "│ " * start["quote"].count(">"), "dim")
        else:
            mark = start["number"] or ("•" if start["bullet"] else "")
            prefix = Text(f"{indent}{mark} " if mark else indent)
            hanging = Text(" " * len(prefix))
        yield self._wrapper.begin(prefix, hanging if len(hanging) <= width // 2 else Text())

    def _flow(self, source: str, width: int) -> Text:
        # How wide a tab is depends on where it stands, and that is settled only later.
        text = format_line(source.replace("\t", " "), before=self._before)
        text.stylize_before(self._style)
        self._before = source[-1:] or self._before
        return self._wrapper.add(text, width)

    def _gap(self) -> Iterator[Text]:
        """Yield an empty line where one or more stood before something, but not at the start of the answer."""
        from rich.text import Text

        if self._blank and self._begun:
            yield Text("\n")
        self._blank, self._begun = False, True

    def _code_line(self, line: str, opened: re.Match[str]) -> Text:
        from rich.syntax import Syntax
        from rich.text import Text

        closing = line.strip()
        if set(closing) == {opened["fence"][0]} and len(closing) >= len(opened["fence"]):
            self._fence = None
            return Text(closing + "\n", "dim")
        indent = len(opened["indent"])
        self._code.append(line[indent:] if not line[:indent].strip() else line)
        syntax = Syntax("", opened["language"] or "text", theme="ansi_dark")
        coloured = syntax.highlight("\n".join(self._code[-_CODE_CONTEXT:])).split("\n", allow_blank=True)
        whole = coloured[min(len(self._code), _CODE_CONTEXT) - 1]
        # A lexer may drop what it takes for insignificant; then the line itself is shown.
        return (whole if whole.plain == self._code[-1] else Text(self._code[-1])).append("\n")

    def _end_table(self) -> Iterator[Text | Table]:
        from rich.text import Text

        if not self._rows:
            return
        yield from self._gap()
        if table := _table(self._rows):
            yield table
        else:
            yield Text("".join(f"{row}\n" for row in self._rows))
        self._rows = []


def _table(rows: list[str]) -> Table | None:
    """Return a table of lines between bars, or None where the second line does not underline a head."""
    from rich import box
    from rich.table import Table

    if len(rows) < 2 or not _TABLE_HEAD.fullmatch(rows[1]):
        return None
    heads, rules = _cells(rows[0]), _cells(rows[1])
    if len(heads) != len(rules):
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head, rule in zip(heads, rules, strict=True):
        table.add_column(format_line(head), justify=_JUSTIFY[rule[:1] == ":", rule[-1:] == ":"], overflow="fold")
    for row in rows[2:]:
        table.add_row(*map(format_line, _cells(row)))
    return table


def _cells(row: str) -> list[str]:
    content = row.strip().removeprefix("|")
    if content.endswith("|") and not content.endswith(r"\|"):
        content = content[:-1]
    return [cell.strip().replace(r"\|", "|") for cell in _BETWEEN_CELLS.split(content)]
