"""`super().__init__()` moves to the end of `__init__`, and no other byte changes."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.catalog.tokenizer_code import UnrecognisedCodeError, find_initialiser, parse_code
from baichuan_cli.tokenizer.code_repair import is_broken, repair_code
from tokenizer.published_code import BASE_CALL, BROKEN, LICENCE, MODEL, ONE_LINE, SETTINGS, WORKING, Layout


def statements(source: bytes) -> list[str]:
    return [ast.dump(statement) for statement in find_initialiser(parse_code(source)).statements]


@pytest.mark.parametrize("layout", BROKEN.values(), ids=BROKEN)
def test_every_broken_layout_is_repaired(layout: Layout) -> None:
    before = str(layout).encode()
    call = BASE_CALL.replace("\n", layout.end).encode()
    rest = before.replace(call, b"")
    end_of_initialiser = rest.index(b"    def __getstate__") - len(layout.end)
    assert repair_code(before) == rest[:end_of_initialiser] + call + rest[end_of_initialiser:]


@pytest.mark.parametrize("layout", WORKING.values(), ids=WORKING)
def test_what_works_is_left_as_it_is(layout: Layout) -> None:
    source = str(layout).encode()
    assert repair_code(source) == source
    assert not is_broken(source)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def broken(:\n", "is no Python: invalid syntax in line 1"),
        ("x = 1\0\n", "is no Python"),
        ("(" * 10_000, "is no Python"),
        ("x = " + "1 + " * 20_000 + "1\n" + str(Layout()), "is n"),
        (str(Layout("LlamaTokenizer")), "has no __init__ of a class BaichuanTokenizer or BaiChuanTokenizer"),
        (
            str(Layout()) + str(Layout("BaiChuanTokenizer")),
            "has 2 __init__ of a class BaichuanTokenizer or BaiChuanTokenizer, not one",
        ),
        (str(Layout(body=MODEL)), "calls super().__init__() nowhere in its __init__"),
        (
            str(Layout(body=BASE_CALL + MODEL + BASE_CALL)),
            "calls super().__init__() 2 times, not once in its __init__",
        ),
        (
            str(Layout(body="        if True:\n            super().__init__()\n" + MODEL)),
            "calls super().__init__() inside another statement in its __init__",
        ),
        (str(Layout(body=BASE_CALL + SETTINGS)), "does not load self.sp_model in its __init__"),
        (
            str(Layout(body="        super().__init__(); self.vocab_file = 1\n" + MODEL)),
            "has super().__init__() on a line with something else: line 30",
        ),
    ],
)
def test_what_is_unknown_is_refused_with_a_reason(source: str, reason: str) -> None:
    with pytest.raises(UnrecognisedCodeError) as caught:
        repair_code(source.encode())
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    "statement",
    [
        "kwargs = {}",
        "self.legacy = kwargs.pop('legacy', True)",
        "self.pad_token = '<pad>'",
        "self.vocab_file = self.bos_token",
        "self.vocab_file = find(vocab_file)",
        "self.vocab_file = (bos_token := vocab_file)",
        "self.sp_model = self.get_spm_processor()",
        "self.add_tokens(['<tool>'])",
        "self.vocab_file = other = vocab_file",
        "if True:\n            pass",
    ],
)
def test_a_statement_that_may_need_the_base_class_is_not_passed(statement: str) -> None:
    source = str(Layout(body=BASE_CALL + f"        {statement}\n" + MODEL)).encode()
    with pytest.raises(UnrecognisedCodeError, match=r"has a statement behind super\(\).__init__\(\) that it may need"):
        repair_code(source)


def test_nothing_in_the_file_is_executed() -> None:
    assert is_broken(b"raise SystemExit('executed')\n" + str(Layout()).encode())


COMMENTS = st.sampled_from(["", "\n", "        # 注释 comment\n", "\n        # super().__init__()\n\n", "\f\n"])
TRAILING = st.sampled_from(["", "  # 尾注", "  ;"])


@st.composite
def broken_files(draw: st.DrawFn) -> bytes:
    """A broken file with its statements in any order that works, and anything that Python allows between them."""
    settings = draw(st.permutations(SETTINGS.splitlines()))
    position = draw(st.integers(0, len(settings)))
    after = [*settings[:position], *MODEL.splitlines(), *settings[position:]]
    body = draw(COMMENTS) + BASE_CALL.removesuffix("\n") + draw(st.sampled_from(["\n", "  # 尾注\n"]))
    for line in after:
        body += draw(COMMENTS) + line + draw(TRAILING) + "\n"
    layout = Layout(
        name=draw(st.sampled_from(["BaichuanTokenizer", "BaiChuanTokenizer"])),
        header=draw(st.sampled_from(["", LICENCE])),
        added_token=draw(st.sampled_from([ONE_LINE, "        # {0}\n" + ONE_LINE])),
        body=body,
    )
    text = str(layout)
    if draw(st.booleans()):  # __init__ at the end of the file, perhaps without a line end
        text = text[: text.index("\n    def __getstate__")]
        text = text[: -draw(st.integers(0, 1)) or None]
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "gbk"]))
    if encoding == "gbk":
        text = "# -*- coding: gbk -*-\n" + text
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"]))).encode(encoding)


@given(broken_files())
def test_repairing_permutes_the_statements_and_nothing_else(source: bytes) -> None:
    repaired = repair_code(source)
    before, after = statements(source), statements(repaired)
    assert sorted(after) == sorted(before)
    call = find_initialiser(parse_code(source)).base_call
    assert after == [*before[:call], *before[call + 1 :], before[call]]

    def lines(content: bytes) -> list[bytes]:
        return sorted(line.rstrip(b"\r\n") for line in content.splitlines(keepends=True))

    assert lines(repaired) == lines(source)
    assert len(repaired) == len(source)
    start = source.index(b"super().__init__(\r" if b"super().__init__(\r" in source else b"super().__init__(\n")
    assert repaired[: start - 8] == source[: start - 8]
    if (rest := source.find(b"    def __getstate__")) >= 0:
        assert repaired[rest:] == source[rest:]


@given(broken_files())
def test_repairing_twice_is_repairing_once(source: bytes) -> None:
    repaired = repair_code(source)
    assert repair_code(repaired) == repaired
    assert not is_broken(repaired)
