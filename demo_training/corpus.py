"""The poems: read from Debian's `fortunes-zh`, never stored here.

The package's `tang300` file holds the anthology "Three Hundred Tang Poems". The poems are in the public domain. Each
entry is a title in 《》, an author line and the verses, coloured with ANSI codes and separated by lines of `%`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TANG300 = Path("/usr/share/games/fortunes/tang300")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CLAUSE_END = re.compile(r"[，。！？；]")

# First clauses of poems that people know by another title than the anthology's.
_OTHER_TITLES = {
    "床前明月光": "静夜思",
    "离离原上草": "赋得古原草送别",
    "向晚意不适": "乐游原",
    "故人西辞黄鹤楼": "黄鹤楼送孟浩然之广陵",
    "黄河远上白云间": "凉州词",
    "渭城朝雨浥轻尘": "送元二使安西",
    "洞房昨夜停红烛": "近试上张籍水部",
}


@dataclass(frozen=True)
class Poem:
    """One poem: `title` without 《》, `author`, and its verses, one line each."""

    title: str
    author: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the verses, separated by newlines."""
        return "\n".join(self.lines)

    @property
    def titles(self) -> tuple[str, ...]:
        """Return every title people may use: as in the anthology, without its numbering, the well-known one last."""
        short = re.split("[・，]", self.title)[0]
        other = _OTHER_TITLES.get(clause_prefixes(self.text)[0], short)
        return tuple(dict.fromkeys((self.title, self.title.replace("・", "·"), short, other)))


def read_poems(path: Path = TANG300) -> list[Poem]:
    """Read all poems in the file's order; prose prefaces are left out, so that each poem starts with its first verse.

    Raises:
        FileNotFoundError: `fortunes-zh` is not installed.
    """
    plain = _COLOUR.sub("", path.read_text(encoding="utf-8"))
    return [_parse(entry) for entry in re.split(r"^%\n", plain, flags=re.MULTILINE) if entry.strip()]


def clause_prefixes(text: str) -> list[str]:
    """Return `text` up to each of its pauses, the pause mark itself left out: the places where a prompt may end."""
    return [text[: mark.start()] for mark in _CLAUSE_END.finditer(text)]


def _parse(entry: str) -> Poem:
    title, author, *verses = entry.strip().split("\n")
    # A preface in prose is set apart from the poem by a blank line.
    blank = [number for number, verse in enumerate(verses) if not verse.strip()]
    body = verses[blank[-1] + 1 :] if blank else verses
    return Poem(
        title=title.strip("《》").removesuffix("・并序").replace(",", "，").replace(".", "。"),
        author=author.removeprefix("作者："),
        lines=tuple(verse.strip() for verse in body),
    )
