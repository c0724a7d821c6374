"""Whatever the locale can write, no command ends in the middle of its output."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from baichuan_cli.chat.events import Asked, Begun, to_line
from baichuan_cli.cli.errors import to_bcli_error
from baichuan_cli.cli.output import Output
from baichuan_cli.errors import ExitCode

#: A C locale in which Python was told not to take UTF-8 in its place.
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
QUESTION = "床前明月光 😀"


@pytest.fixture
def chats(isolation: Path) -> None:
    """A conversation with a character that not even GBK has."""
    folder = isolation / "data" / "chats"
    folder.mkdir(parents=True)
    (folder / "20261127-060000.jsonl").write_bytes(
        to_line(Begun(at="", model="demo")) + to_line(Asked(content=QUESTION))
    )


def run(*arguments: str, **variables: str) -> bytes:
    """Return what a command writes as data."""
    command = [sys.executable, "-m", "baichuan_cli", *arguments]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@pytest.mark.usefixtures("chats")
@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("generate --help", "床前明月光"),
        ("models show baichuan2-7b-chat", "https://modelscope.cn/"),
        ("docker --profile k100", "docker run"),
        ("generate --explain --vllm-version 0.5.0 --model baichuan2-13b-chat --profile z100l", "×"),
        ("chat --list", QUESTION),
        ("chat --list --json", QUESTION),
    ],
)
def test_ascii_is_taken_for_utf_8(command: str, wanted: str) -> None:
    assert wanted in run(*command.split(), **ASCII).decode()


@pytest.mark.usefixtures("chats")
def test_what_an_encoding_lacks_is_an_escape_and_json_stays_json() -> None:
    assert "床前明月光 \\U0001f600" in run("chat", "--list", PYTHONIOENCODING="gbk").decode("gbk")
    listed = json.loads(run("chat", "--list", "--json", PYTHONIOENCODING="gbk").decode("gbk"))
    assert listed["conversations"][0]["first_question"] == QUESTION


def test_json_keeps_what_the_stream_can_write() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="gbk", write_through=True)
    Output(json_mode=True, stdout=stream).json({"text": "霜"})
    Output(json_mode=True, stdout=stream).json({"text": "霜 ö"})
    assert stream.buffer.getvalue().decode("gbk") == (  # type: ignore[attr-defined]
        '{\n  "text": "霜"\n}\n{\n  "text": "\\u971c \\u00f6"\n}\n'
    )


def test_a_file_name_that_the_locale_has_no_letters_for() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        "月.json".encode("ascii")
    told = to_bcli_error(caught.value)
    assert told.message == "ascii has no '月', which a name or a text here holds."
    assert (told.hint, told.exit_code) == ("Set the locale to UTF-8: export LC_ALL=C.UTF-8", ExitCode.INVALID)
