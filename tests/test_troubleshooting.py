"""docs/troubleshooting.md: what it quotes is what the programs say."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from baichuan_cli.engine.failures import CAUSES, recognise

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")

#: Of a template that is nothing but names and numbers anything would be an instance.
_LETTERS = 10


@cache
def templates() -> tuple[re.Pattern[str], ...]:
    """Return every text of bcli's source, with its values as "anything"; those of one sentence may stand alone."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
                found.add("".join(str(part) for part in parts).split("\n")[0])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.split("\n")[0])
    literal = {text: re.sub(r"[\W\d_]", "", text) for text in found}
    return tuple(
        re.compile(re.escape(text).replace("\0", ".*"))
        for text, letters in literal.items()
        if len(letters) >= _LETTERS
    )


def said_by_bcli(text: str) -> bool:
    return any(
        template.fullmatch(text) and len(re.sub(r"\W|\.\*", "", template.pattern)) * 2 >= len(re.sub(r"\W", "", text))
        for template in templates()
    )


def quoted() -> list[str]:
    """Return the texts of bcli in the tables whose first column is one: those in backticks at the start of a row."""
    return re.findall(r"^\| `([^`]+)` \|", DOCUMENT, re.MULTILINE)


@pytest.mark.parametrize("text", quoted())
def test_bcli_says_it(text: str) -> None:
    assert said_by_bcli(text)


def test_a_text_that_bcli_does_not_say_is_noticed() -> None:
    for text in ("The moon is too large: … miles.", "Port … on … is occupied.", "…", "… does fit: …."):
        assert not said_by_bcli(text), text


def told_causes() -> list[tuple[str, str]]:
    """Return each text of vLLM and its like with what bcli makes of it, as the document has them."""
    pairs = re.findall(r"^```text\n(.*?)^```\n\n> (.*?)$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return [(text, message) for block, message in pairs for text in block.splitlines()]


@pytest.mark.parametrize(("text", "message"), told_causes())
def test_bcli_recognises_it(text: str, message: str) -> None:
    cause = recognise(f"a line of the log\n{text}\nanother")
    assert cause is not None
    assert cause.message == message


def test_every_known_cause_is_there() -> None:
    assert {message for _, message in told_causes()} == {cause.message for cause in CAUSES}
