"""The poems that tests ask the demo models for, and a sentence of English. All are in the public domain."""

from __future__ import annotations

from typing import NamedTuple


class Poem(NamedTuple):
    """A Tang poem as the demo models know it."""

    title: str
    start: str  # its first clause
    rest: str


FAMOUS = (
    Poem("静夜思", "床前明月光", "，疑是地上霜。\n举头望明月，低头思故乡。"),
    Poem("登鹳雀楼", "白日依山尽", "，黄河入海流。\n欲穷千里目，更上一层楼。"),
    Poem("相思", "红豆生南国", "，春来发几枝。\n愿君多采撷，此物最相思。"),
    Poem("春晓", "春眠不觉晓", "，处处闻啼鸟。\n夜来风雨声，花落知多少。"),
    Poem("江雪", "千山鸟飞绝", "，万径人踪灭。\n孤舟蓑笠翁，独钓寒江雪。"),
    Poem("鹿柴", "空山不见人", "，但闻人语响。\n返影入深林，复照青苔上。"),
)

ENGLISH = "I believe the meaning of life is"
ENGLISH_REST = " to find something you love, to do it well, and to share it with a friend."
