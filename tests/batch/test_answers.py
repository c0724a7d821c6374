"""Everything that can be wrong with an output file, and everything that can go wrong while it is written."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from baichuan_cli.batch.answers import AnswerStream, open_answers
from baichuan_cli.batch.item import BatchItem
from baichuan_cli.batch.prompts import parse_batch
from baichuan_cli.batch.records import RunInfo, answer_record, encode, failure_record
from baichuan_cli.engine.request import Choice, Completion
from baichuan_cli.errors import BcliError, ExitCode

ITEMS = parse_batch(b'{"prompt": "%d"}' % number for number in range(1, 6)).items


def answer(item: BatchItem, run: RunInfo, text: str = "好") -> dict[str, object]:
    return dict(answer_record(item, Completion("x", 1, (Choice(0, text, (1,), "stop"),), None, 0.1), run))


def failure(item: BatchItem, run: RunInfo) -> dict[str, object]:
    return dict(failure_record(item, BcliError("Too long."), run))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow past 1000 bytes: the write that crosses it is short, the next one fails.

    No fixture, which would still hold while pytest reports: its own output may be a longer file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def refused(path: Path, run: RunInfo, input_path: Path | None = None) -> BcliError:
    with pytest.raises(BcliError) as raised:
        open_answers(path, ITEMS, run, input_path=input_path)
    return raised.value


def test_each_record_is_in_the_file_when_write_returns(output: Path, run_info: RunInfo) -> None:
    with open_answers(output, ITEMS, run_info, input_path=None) as answers:
        assert (answers.answered, answers.unrelated, answers.locked) == (frozenset(), 0, True)
        expected = b""
        for item in ITEMS:
            answers.write(answer(item, run_info))
            expected += encode(answer(item, run_info))
            assert output.read_bytes() == expected  # reading drops the lock of this process, which no one needs here


def test_an_old_file_is_continued(output: Path, run_info: RunInfo) -> None:
    old = encode(answer(ITEMS[1], run_info)) + encode(answer(ITEMS[3], run_info))
    output.write_bytes(old)
    with open_answers(output, ITEMS, run_info, input_path=None) as answers:
        assert answers.answered == {"line-2", "line-4"}
        answers.write(answer(ITEMS[0], run_info))
    assert output.read_bytes() == old + encode(answer(ITEMS[0], run_info))


def test_a_last_line_that_lacks_only_its_newline_is_kept(output: Path, run_info: RunInfo) -> None:
    line = encode(answer(ITEMS[1], run_info))
    output.write_bytes(line[:-1])
    with open_answers(output, ITEMS, run_info, input_path=None) as answers:
        assert answers.answered == {"line-2"}
    assert output.read_bytes() == line


def test_records_of_other_prompts_stay(output: Path, run_info: RunInfo) -> None:
    old = encode(answer(ITEMS[4], run_info)) + encode(failure(ITEMS[3], run_info))
    output.write_bytes(old)
    with open_answers(output, ITEMS[:3], run_info, input_path=None) as answers:
        assert (answers.answered, answers.unrelated) == (frozenset(), 2)
    assert output.read_bytes() == old


def failed_file(output: Path, run: RunInfo) -> tuple[bytes, bytes]:
    """Write answers around failures and a cut line; return the file and what should be left of it."""
    kept = [encode(answer(ITEMS[0], run)), encode(answer(ITEMS[2], run))]
    failures = [encode(failure(ITEMS[1], run)), encode(failure(ITEMS[3], run))]
    whole = kept[0] + failures[0] + kept[1] + failures[1] + encode(answer(ITEMS[4], run))[:40]
    output.write_bytes(whole)
    return whole, b"".join(kept)


def test_failures_are_taken_out_to_be_tried_again(output: Path, run_info: RunInfo) -> None:
    _, kept = failed_file(output, run_info)
    output.chmod(0o640)
    link = output.with_name("link.jsonl")
    link.symlink_to(output)
    with open_answers(link, ITEMS, run_info, input_path=None) as answers:
        assert answers.answered == {"line-1", "line-3"}
        answers.write(answer(ITEMS[1], run_info))
    assert output.read_bytes() == kept + encode(answer(ITEMS[1], run_info))
    assert output.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink() and not list(output.parent.glob(".*"))


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
def test_nothing_is_lost_when_taking_failures_out_fails(
    call: str, output: Path, run_info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, kept = failed_file(output, run_info)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        error = refused(output, run_info)
    assert error.message == f"Cannot write to {output}: No space left on device. Answers safe in it: 2."
    assert error.exit_code is ExitCode.OUTPUT
    assert output.read_bytes() == whole[: whole.rindex(b"\n") + 1]
    assert list(output.parent.iterdir()) == [output]

    output.with_name(f".{output.name}.bcli-rewrite").write_bytes(b"of a run that was killed here")
    open_answers(output, ITEMS, run_info, input_path=None).close()
    assert output.read_bytes() == kept
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize(
    "content", [b"poem\n", b"poem", b'{"prompt": "x"}', b'{"custom_id": "a", "choices": []}\n', b"\x00" * 99, b"\n"]
)
def test_a_file_of_others_is_never_changed(content: bytes, output: Path, run_info: RunInfo) -> None:
    for before in (b"", encode(answer(ITEMS[0], run_info))):
        output.write_bytes(before + content)
        error = refused(output, run_info)
        line = 2 if before else 1
        assert (
            error.message == f"{output} is not an answer file of this version of bcli: line {line} is something else."
        )
        assert error.exit_code is ExitCode.USAGE
        assert output.read_bytes() == before + content


def test_answers_to_other_requests_are_not_taken_for_these(output: Path, run_info: RunInfo) -> None:
    [other] = parse_batch([b'{"custom_id": "line-3", "prompt": "other"}']).items
    output.write_bytes(encode(answer(other, run_info)))
    assert refused(output, run_info).message == (
        f'{output} holds the answer to another request under the custom_id "line-3"; '
        "answers of two kinds would be mixed."
    )
    output.write_bytes(encode(answer(ITEMS[2], RunInfo("demo", {"temperature": 1}))))
    assert refused(output, run_info).message == (
        f"{output} holds answers of another model or under other sampling options; "
        "answers of two kinds would be mixed."
    )
    output.write_bytes(encode(failure(other, run_info)))  # a failure of an earlier wording is no answer to keep
    open_answers(output, ITEMS, run_info, input_path=None).close()
    assert output.read_bytes() == b""


def test_the_output_must_not_be_the_input(tmp_path: Path, run_info: RunInfo) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_bytes(b'{"prompt": "x"}\n')
    (tmp_path / "hard.jsonl").hardlink_to(prompts)
    (tmp_path / "soft.jsonl").symlink_to(prompts)
    for name in ("prompts.jsonl", "hard.jsonl", "soft.jsonl"):
        error = refused(tmp_path / name, run_info, input_path=prompts)
        assert (error.message, error.exit_code) == (f"The output {tmp_path / name} is the input file.", ExitCode.USAGE)
    assert prompts.read_bytes() == b'{"prompt": "x"}\n'


def test_outputs_that_cannot_be_opened(tmp_path: Path, run_info: RunInfo) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    missing = tmp_path / "none" / "answers.jsonl"
    assert refused(missing, run_info).message == (
        f"Cannot write to {missing}: the folder {tmp_path / 'none'} does not exist."
    )
    assert refused(plain / "a", run_info).message == f"Cannot write to {plain / 'a'}: Not a directory."
    read_only = Path("/proc/sys/answers.jsonl")  # root may write everywhere else
    assert re.fullmatch(rf"Cannot write to {read_only}: .+\.", refused(read_only, run_info).message)
    for path in (missing, plain / "a", read_only):
        assert refused(path, run_info).exit_code is ExitCode.OUTPUT
    for path in (tmp_path, Path("/dev/full")):
        assert refused(path, run_info).message == f"The output {path} is not a regular file."


def test_a_full_disk_keeps_what_is_safe(output: Path, run_info: RunInfo) -> None:
    safe = b""
    with full_disk(), open_answers(output, ITEMS, run_info, input_path=None) as answers:
        answers.write(failure(ITEMS[4], run_info))
        safe += encode(failure(ITEMS[4], run_info))
        answers.write(answer(ITEMS[0], run_info))
        safe += encode(answer(ITEMS[0], run_info))
        with pytest.raises(BcliError) as raised:
            answers.write(answer(ITEMS[1], run_info, text="长" * 300))
        assert raised.value.message == f"Cannot write to {output}: File too large. Answers safe in it: 1."
        assert raised.value.exit_code is ExitCode.OUTPUT
        assert output.read_bytes() == safe
        answers.write(answer(ITEMS[2], run_info))  # room again
    assert output.read_bytes() == safe + encode(answer(ITEMS[2], run_info))


def test_ctrl_c_inside_a_write_leaves_whole_lines(
    output: Path, run_info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    lines = [encode(answer(item, run_info)) for item in ITEMS[:2]]
    with open_answers(output, ITEMS, run_info, input_path=None) as answers:
        for share, expected in ((1, lines[0]), (2, lines[0])):

            def interrupted(fd: int, data: memoryview, share: int = share) -> int:
                write(fd, data[: len(data) // share])
                raise KeyboardInterrupt

            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(os, "write", interrupted)
                answers.write(answer(ITEMS[share - 1], run_info))
            assert output.read_bytes() == expected
        answers.write(answer(ITEMS[1], run_info))
    assert output.read_bytes() == lines[0] + lines[1]


def test_a_disk_that_fails_at_the_end_is_reported(
    output: Path, run_info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    answers = open_answers(output, ITEMS, run_info, input_path=None)
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(BcliError, match=r"did not take all of .*: Input/output error\."):
        answers.close()


HOLDER = """
import sys
from pathlib import Path
from baichuan_cli.batch.answers import open_answers
from baichuan_cli.batch.records import RunInfo
with open_answers(Path(sys.argv[1]), [], RunInfo("demo", {"temperature": 0}), input_path=None):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_two_processes_cannot_write_one_file(output: Path, run_info: RunInfo) -> None:
    command = [sys.executable, "-c", HOLDER, str(output)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"open\n"
        error = refused(output, run_info)
        holder.kill()
    assert (error.message, error.exit_code) == (f"Another bcli is writing to {output}.", ExitCode.OUTPUT)
    open_answers(output, ITEMS, run_info, input_path=None).close()  # the lock died with its process


def test_the_lock_moves_along_when_failures_are_taken_out(output: Path, run_info: RunInfo) -> None:
    failed_file(output, run_info)
    with open_answers(output, ITEMS, run_info, input_path=None):
        taken = subprocess.run(
            [sys.executable, "-c", HOLDER, str(output)], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    assert f"Another bcli is writing to {output}." in taken.stderr


def test_a_file_replaced_before_it_was_locked_is_opened_again(
    output: Path, run_info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    lockf, fresh = fcntl.lockf, encode(answer(ITEMS[0], run_info))

    def replaced_meanwhile(fd: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "lockf", lockf)
        newer = output.with_name("newer")
        newer.write_bytes(fresh)
        newer.replace(output)
        lockf(fd, how)

    monkeypatch.setattr(fcntl, "lockf", replaced_meanwhile)
    with open_answers(output, ITEMS, run_info, input_path=None) as answers:
        assert answers.answered == {"line-1"}


def test_a_file_system_without_locks_is_said(output: Path, run_info: RunInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "lockf", unsupported)
    with open_answers(output, ITEMS, run_info, input_path=None) as answers:
        assert answers.locked is False


def test_a_stream_gets_the_same_records(run_info: RunInfo) -> None:
    stream = io.BytesIO()
    AnswerStream(stream).write(answer(ITEMS[0], run_info))
    assert stream.getvalue() == encode(answer(ITEMS[0], run_info))


def test_a_stream_that_ends_is_reported(run_info: RunInfo) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        stream = AnswerStream(pipe)
        stream.write(answer(ITEMS[0], run_info))
        os.close(reader)
        with pytest.raises(BcliError) as raised:
            stream.write(answer(ITEMS[1], run_info))
    assert raised.value.message == "Cannot write to standard output: Broken pipe. Records that went out whole: 1."
    assert raised.value.exit_code is ExitCode.OUTPUT
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(BcliError, match=r"No space left on device"):
        AnswerStream(full).write(answer(ITEMS[0], run_info))
