"""A conversation is kept as it happens, survives a kill at any byte, and is given back as it was."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.chat.conversation import Conversation, Round
from baichuan_cli.chat.events import (
    AnswerDropped,
    Answered,
    Asked,
    Begun,
    Event,
    ModelChosen,
    RoundDropped,
    SettingChanged,
    SystemChanged,
    from_line,
    to_line,
)
from baichuan_cli.chat.transcript import Transcript, read_conversation
from baichuan_cli.errors import BcliError, ExitCode

BEGUN = to_line(Begun(at="", model="demo"))
EVENTS: tuple[Event, ...] = (
    SystemChanged(content="你是诗人"),
    SettingChanged(name="temperature", value=0.3),
    Asked(content="《静夜思》"),
    Answered(content="床前明月光，"),
    Answered(content="疑是地上霜。", finish="stop"),
    Asked(content="再来一首\n要长的"),
    Answered(content="白日", finish="stopped"),
    AnswerDropped(),
    Answered(content="白日依山尽", finish="length"),
    Asked(content="错了"),
    RoundDropped(),
    SettingChanged(name="stop", value=("。", "\n")),
    ModelChosen(model="demo-alibi"),
)
EXPECTED = Conversation(
    model="demo-alibi",
    system="你是诗人",
    rounds=(
        Round("《静夜思》", "床前明月光，疑是地上霜。", "stop"),
        Round("再来一首\n要长的", "白日依山尽", "length"),
    ),
    sampling={"temperature": 0.3, "stop": ("。", "\n")},
)


def kept(folder: Path, events: tuple[Event, ...] = EVENTS) -> Path:
    transcript = Transcript(Conversation("demo"), folder)
    for event in events:
        transcript.record(event)
    transcript.close()
    assert transcript.path is not None
    return transcript.path


def test_the_conversation_comes_back(tmp_path: Path) -> None:
    path = kept(tmp_path / "chats")
    resumed = Transcript.resume(path)
    assert resumed.conversation == EXPECTED
    resumed.record(Asked(content="还有呢"))
    resumed.close()
    assert read_conversation(path, path.read_bytes()).rounds == (*EXPECTED.rounds, Round("还有呢"))


def test_every_event_is_in_the_file_as_soon_as_it_has_happened(tmp_path: Path) -> None:
    transcript = Transcript(Conversation("demo"), tmp_path)
    for event in EVENTS[:2]:
        transcript.record(event)
    assert list(tmp_path.iterdir()) == []  # nothing was asked yet
    for event in EVENTS[2:]:
        transcript.record(event)
        assert transcript.path is not None
        assert read_conversation(transcript.path, transcript.path.read_bytes()) == transcript.conversation
    assert transcript.conversation == EXPECTED
    transcript.close()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    assert stat.S_IMODE(kept(tmp_path).stat().st_mode) == 0o600


def test_a_kill_at_any_byte_loses_nothing_that_was_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # hundreds of them take their time
    content = kept(tmp_path).read_bytes()
    states = [Conversation("demo")]
    for event in EVENTS:
        states.append(states[-1].after(event))
    path = tmp_path / "20261122-153012.jsonl"
    for cut in range(content.index(b"}") + 1, len(content) + 1):
        path.write_bytes(content[:cut])
        transcript = Transcript.resume(path)
        whole = (content[:cut] + b"\n").count(b"}\n")
        assert transcript.conversation == states[whole - 1]
        transcript.record(Asked(content="接着"))
        transcript.close()
        assert read_conversation(path, path.read_bytes()) == states[whole - 1].after(Asked(content="接着"))


def test_a_full_disk_is_told_and_caught_up_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transcript = Transcript(Conversation("demo"), tmp_path)
    transcript.record(Asked(content="一"))
    assert transcript.path is not None
    before = transcript.path.read_bytes()

    def full(fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(BcliError) as raised:
        patch.setattr(os, "write", full)
        transcript.record(Answered(content="二", finish="stop"))
    assert raised.value.message == (
        f"The conversation cannot be written to {transcript.path}: No space left on device."
    )
    assert raised.value.exit_code is ExitCode.OUTPUT
    assert transcript.path.read_bytes() == before
    transcript.record(Asked(content="三"))
    transcript.close()
    assert read_conversation(transcript.path, transcript.path.read_bytes()).rounds == (
        Round("一", "二", "stop"),
        Round("三"),
    )


def test_two_conversations_in_one_second_have_two_files(tmp_path: Path) -> None:
    one, two = kept(tmp_path), kept(tmp_path)
    assert one != two
    assert two.stem.startswith(one.stem) or one.stem[:8] == two.stem[:8]


def test_nothing_is_kept_where_nothing_shall_be(tmp_path: Path) -> None:
    transcript = Transcript(Conversation("demo"), None)
    for event in EVENTS:
        transcript.record(event)
    assert (transcript.conversation, transcript.path, transcript.name) == (EXPECTED, None, None)
    transcript.close()


HOLDER = """
import sys
from pathlib import Path
from baichuan_cli.chat.transcript import Transcript
transcript = Transcript.resume(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_a_conversation_is_open_in_one_process_only(tmp_path: Path) -> None:
    path = kept(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(BcliError, match=f"^The conversation {path.stem} is open in another bcli.$"):
            Transcript.resume(path)
        process.stdin.close()
    Transcript.resume(path).close()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b'{"event":"user","content":"x"}\n', "line 1: it does not begin a conversation"),
        (b'{"schema":"bcli.chat/2"}\n', "line 1: Unable to extract tag using discriminator 'event'"),
        (BEGUN + b'{"event":"undo"}\n', "line 2: undo before the first question"),
        (
            BEGUN + b"not json\n",
            "line 2: Invalid JSON: expected ident at line 1 column 2",
        ),
    ],
)
def test_another_file_is_refused_and_left_alone(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "20261122-153012.jsonl"
    path.write_bytes(content)
    with pytest.raises(BcliError) as raised:
        Transcript.resume(path)
    assert raised.value.message == f"{path} is no conversation that this version of bcli can read: {why}."
    assert raised.value.exit_code is ExitCode.INVALID
    assert path.read_bytes() == content


@given(st.text())
def test_any_text_comes_back_as_it_was(text: str) -> None:
    event = Asked(content=text)
    line = to_line(event)
    assert line.count(b"\n") == 1
    assert from_line(line) == event


def test_a_file_can_be_read_by_a_person(tmp_path: Path) -> None:
    begun, *lines = kept(tmp_path, EVENTS[2:5]).read_text(encoding="utf-8").splitlines()
    assert begun.startswith('{"event":"begun","schema":"bcli.chat/1","at":"2')
    assert lines == [
        '{"event":"user","content":"《静夜思》"}',
        '{"event":"assistant","content":"床前明月光，","finish":null}',
        '{"event":"assistant","content":"疑是地上霜。","finish":"stop"}',
    ]


def test_questions_without_an_answer_are_not_sent_again() -> None:
    conversation = Conversation(
        "demo", system="诗", rounds=(Round("一", "答", "stop"), Round("二", "", "failed"), Round("三"))
    )
    assert conversation.messages() == [
        {"role": "system", "content": "诗"},
        {"role": "user", "content": "一"},
        {"role": "assistant", "content": "答"},
        {"role": "user", "content": "三"},
    ]
