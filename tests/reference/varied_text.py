"""Texts of every kind that has ever set two tokenizers apart, drawn with a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

_HAN = "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事其里所去行过"
_MARKS = [*range(0x300, 0x370), 0x3099, 0x309A, 0xFF9E, 0xFF9F, 0x345, 0x1161, 0x11A8, 0x314F, 0xFFC2, 0x1AD1, 0x200D]
_BASES = "eaoAαιかハしﾊｶªKſ①ϲᄀ가ﾡㄱᾳệé="
_SPACES = [
    " ",
    "  ",
    "   ",
    "\n",
    "\t",
    "\r",
    "\r\n",
    "\u3000",
    "\xa0",
    "\u200b",
    "\u2028",
    "\u2003",
    "\u2581",
    "\ufeff",
]
_SPECIAL = re.findall(
    r"\S+",
    """
    </s> <s> <unk> <0x0A> <0xE4> <reserved_102> <reserved_106> <reserved_107 <br> </h1> ＜br＞ < br> ``` --- -- - ``
    <!-- 。。。 。。 。 ... .. <SEP> </s /s> ①② ½ Ⅷ ㎏ ™ … — ～ ＋ ％ （ ） ； ： 《 》 “ ” ‘ ’ · 「 」
    """,
)
_ENGLISH = [
    "the ",
    "Hello",
    " world",
    "token",
    "I'm",
    "'s",
    "ing",
    " of",
    "A",
    "Marshall",
    " superficial",
    "ere",
    "erere",
]
_EMOJI = ["😀", "👨\u200d👩\u200d👧", "🏻", "👍🏽", "❤\ufe0f", "🇨🇳", "☺", "\ufe0f"]


def varied_texts(pieces: Sequence[str], *, seed: int, count: int) -> Iterator[str]:
    """Yield texts of one kind, of two kinds and of all kinds in turn.

    Args:
        pieces: the vocabulary to draw from as well.
        seed: of the random generator.
        count: how many texts.
    """
    draw = random.Random(seed)

    def character(*ranges: tuple[int, int]) -> str:
        return chr(draw.randint(*draw.choice(ranges)))

    kinds: list[Callable[[], str]] = [
        lambda: draw.choice(_HAN),
        lambda: draw.choice(_ENGLISH),
        lambda: draw.choice("0123456789０１２３４５６７８９.,-+=%"),
        lambda: draw.choice(_EMOJI),
        lambda: draw.choice(_SPACES) * draw.randint(1, 9),
        lambda: character((0, 31), (127, 159)),
        lambda: character((0xFF00, 0xFFEF)),
        lambda: draw.choice(_BASES) + "".join(chr(draw.choice(_MARKS)) for _ in range(draw.randint(1, 3))),
        lambda: character((0x1100, 0x11FF), (0xAC00, 0xD7A3), (0x3130, 0x318F), (0xFFA0, 0xFFDC)),
        lambda: character((1, 0xD7FF), (0xE000, 0x10FFFF)),
        lambda: character((0x80, 0x33FF)),
        lambda: draw.choice(pieces),
        lambda: draw.choice(_SPECIAL),
        lambda: draw.choice("a e-=.\u2581_*#~^o。x\n") * draw.randint(1, 20),
    ]
    for number in range(count):
        chosen = draw.sample(kinds, number % 3 + 1) if number % 3 < 2 else kinds
        yield "".join(draw.choice(chosen)() for _ in range(draw.randint(1, 24)))
