"""Markdown that arrives in pieces: the same outcome however it is cut, nothing lost, nothing drawn twice."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from baichuan_cli.chat.inline import format_line
from baichuan_cli.chat.markdown import MarkdownStream


def rendered(pieces: list[str], width: int = 40, *, colour: bool = False) -> str:
    """Return what stands on a terminal at the end."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    stream = MarkdownStream()

    def show(contents: list[Text | Table]) -> None:
        for content in contents:
            if isinstance(content, Text):
                console.print(content, end="", soft_wrap=True, highlight=False, markup=False)
            else:
                console.print(content)

    for piece in pieces:
        show(list(stream.feed(piece, width)))
    show(list(stream.finish(width)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


EVERYTHING = """

# 静夜思

李白的**《静夜思》：**是一首*五言*诗，snake_case 与 2*3*4。A long English sentence that has to be wrapped.


床前明月光，
疑是地上霜。

1. 第一项，很长很长很长很长很长很长很长很长很长很长很长
2. 第二项
   - 子项 **kwargs 与 [百川](https://example.com)
> 引用，很长很长很长很长很长很长很长很长很长很长很长很长
***
```python
def f(x):
    return x  # 注释

```
| 名 | 数量 |
|:--|--:|
| 苹果 | 3 |
| **梨** | 12 |

完"""

SHOWN = """\
静夜思

李白的《静夜思》：是一首五言诗，
snake_case 与 2*3*4。A long English
sentence that has to be wrapped.

床前明月光，
疑是地上霜。

1. 第一项，很长很长很长很长很长很长很长
   很长很长很长很长
2. 第二项
   • 子项 **kwargs 与 百川
     (https://example.com)
│ 引用，很长很长很长很长很长很长很长很长
│ 很长很长很长很长
────────────────────────
```python
def f(x):
    return x  # 注释

```
名     数量
───────────
苹果      3
梨       12

完
"""


def test_everything_at_once() -> None:
    assert rendered([EVERYTHING]) == SHOWN


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_in_pieces_it_comes_out_the_same(size: int) -> None:
    assert rendered([EVERYTHING[i : i + size] for i in range(0, len(EVERYTHING), size)]) == SHOWN


_MARKED = st.lists(
    st.sampled_from([*"*_`~[]()\\#->|1. \n\n", "**", "```", "```py", "字", "，", "a", "b2", "|--|", "\t"]), max_size=40
).map("".join)


@given(_MARKED, st.lists(st.integers(0, 60), max_size=4))
@example("**a** b", [3])
@example("*a **b** c*", [4])
def test_however_it_is_cut_it_comes_out_the_same(source: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(source)) for cut in cuts), len(source)]
    pieces = [source[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    assert rendered(pieces, 20, colour=True) == rendered([source], 20, colour=True)


@given(st.text(st.sampled_from("字，。（abc 1"), max_size=80), st.integers(4, 30))
def test_rows_fit_the_terminal_and_nothing_is_lost(text: str, width: int) -> None:
    shown = rendered([text], width)
    assert shown.replace("\n", "").replace(" ", "") == text.replace(" ", "")
    assert all(Text(row).cell_len <= width for row in shown.splitlines())


@given(_MARKED.filter(lambda text: "\n" not in text))
def test_no_character_is_lost_but_marks(source: str) -> None:
    kept = "".join(c for c in source if c in "字，ab2")
    assert "".join(c for c in format_line(source).plain if c in "字，ab2") == kept


def test_a_row_begins_with_no_full_stop_and_ends_with_no_opening_quote() -> None:
    assert rendered(["一二三四五六七八九十。一二三四五六七八「九」"], 20) == (
        "一二三四五六七八九\n十。一二三四五六七八\n「九」\n"
    )


@pytest.mark.parametrize(
    ("source", "spans"),
    [
        ("**重点：**接着", [("重点：", "bold")]),
        ("一*二*三", [("二", "italic")]),
        ("***两者***", [("两者", "bold"), ("两者", "italic")]),
        ("`a*b*c` ``x`y``", [("a*b*c", "cyan"), ("x`y", "cyan")]),
        ("~~删~~ ~不~", [("删", "strike")]),
        ("snake_case_name 2*3*4 a * b * c **kwargs", []),
        (r"\*不\* 是", []),
        ("__init__ _斜_", [("init", "bold"), ("斜", "italic")]),
    ],
)
def test_inline_marks(source: str, spans: list[tuple[str, str]]) -> None:
    text = format_line(source)
    assert [(text.plain[span.start : span.end], span.style) for span in text.spans] == spans


def test_text_comes_as_soon_as_it_can() -> None:
    stream = MarkdownStream()

    def fed(piece: str) -> str:
        return "".join(str(content) for content in stream.feed(piece, 40))

    assert fed("- 你好") == "• 你"  # the last character may still be followed by a full stop
    assert fed("。这是**重") == "好。这"
    assert fed("点") == ""
    assert fed("**，") == "是重"
    assert fed("\n```sh\nls -l\necho") == "点，\n```sh\nls -l\n"


def test_code_has_nothing_before_or_behind_it() -> None:
    assert rendered(["- 例：\n  ```\n  x = '" + "长" * 30 + "'\n    y\n  ```\n"], 20) == (
        "• 例：\n```\nx = '" + "长" * 30 + "'\n  y\n```\n"
    )


def test_a_table_that_is_arriving_can_be_looked_at() -> None:
    stream = MarkdownStream()
    assert list(stream.feed("| 名 | 数 |\n|---|---|\n| 苹果 |", 40)) == []
    assert stream.unfinished is not None
    assert stream.unfinished.row_count == 1
    [table] = stream.feed(" 3 |\n\n", 40)
    assert isinstance(table, Table)
    assert stream.unfinished is None


def test_bars_without_a_rule_below_them_are_text() -> None:
    assert rendered(["| 一 | 二 |\n| 三 |\n完"]) == "| 一 | 二 |\n| 三 |\n完\n"
