from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baichuan_cli.batch.answers import AnswerStream, open_answers
from baichuan_cli.batch.item import BadLine, BatchItem
from baichuan_cli.batch.prompts import parse_batch
from baichuan_cli.batch.records import RunInfo
from baichuan_cli.batch.run import BatchResult, exit_code, run_batch
from baichuan_cli.engine.request import Completion, Request
from baichuan_cli.errors import BcliError, ExitCode

Encode = Callable[[BatchItem], Request]

LINES = [
    b'{"custom_id": "a", "prompt": "one"}',
    b'{"custom_id": "b", "prompt": "much longer than twenty characters"}',
    b'{"custom_id": "c", "url": "/v1/completions", "body": {"prompt": "three"}}',
    b'{"custom_id": "d", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "four"}]}}',
    '{"custom_id": "e", "prompt": "五"}'.encode(),
]
ITEMS = parse_batch(LINES).items


def records(data: bytes) -> list[dict[str, Any]]:
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def told(result: BatchResult) -> tuple[int, ...]:
    assert result.seconds >= 0
    counts = (result.total, result.done, result.failed, result.skipped)
    return (*counts, result.prompt_tokens, result.completion_tokens)


def test_a_batch_to_a_stream(echo_engine: Any, encode: Encode, run_info: RunInfo) -> None:
    stream = io.BytesIO()
    steps: list[BatchResult] = []
    answers = AnswerStream(stream)
    result = run_batch(ITEMS, echo_engine(), answers, run_info, encode=encode, progress=steps.append)

    assert told(result) == (5, 4, 1, 0, 13, 13)
    assert [told(step)[:3] for step in steps] == [(5, 0, 1), (5, 1, 1), (5, 2, 1), (5, 3, 1), (5, 4, 1)]
    lines = records(stream.getvalue())
    # The failure is found while the first requests are taken, and the engine gives the last of three first.
    assert [line["custom_id"] for line in lines] == ["b", "d", "c", "a", "e"]
    assert lines[0]["error"] == {
        "code": "usage",
        "message": "The prompt has 34 tokens; the context holds 20. Shorten it.",
    }
    assert lines[1]["response"]["body"]["choices"][0]["message"]["content"] == "four"
    assert lines[2]["response"]["body"]["choices"][0]["text"] == "three"
    assert lines[3]["choices"] == [{"index": 0, "text": "one", "finish_reason": "stop"}]
    assert lines[4]["usage"] == {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def test_an_item_is_encoded_only_when_the_engine_takes_it(encode: Encode, run_info: RunInfo) -> None:
    class Lazy:
        def run(self, requests: Iterable[Request]) -> Iterator[Completion]:
            next(iter(requests))
            return iter(())

    encoded: list[str] = []

    def noting(item: BatchItem) -> Request:
        encoded.append(item.custom_id)
        return encode(item)

    stream = io.BytesIO()
    result = run_batch(ITEMS, Lazy(), AnswerStream(stream), run_info, encode=noting, progress=lambda _: None)
    assert encoded == ["a"]
    assert told(result) == (5, 0, 1, 0, 0, 0)
    assert records(stream.getvalue())[0]["error"] == {
        "code": "engine",
        "message": "The engine finished without an answer to this prompt.",
    }


def test_ctrl_c_keeps_what_is_answered_and_a_second_run_does_the_rest(
    tmp_path: Path, echo_engine: Any, encode: Encode, run_info: RunInfo
) -> None:
    output = tmp_path / "answers.jsonl"

    def run(engine: Any) -> BatchResult:
        with open_answers(output, ITEMS, run_info, input_path=None) as answers:
            return run_batch(ITEMS, engine, answers, run_info, encode=encode, progress=lambda _: None)

    with pytest.raises(KeyboardInterrupt):
        run(echo_engine(stop_after=2))
    assert [record["custom_id"] for record in records(output.read_bytes())] == ["b", "d", "c"]

    again = echo_engine()
    assert told(run(again)) == (5, 2, 1, 2, 4, 4)
    assert sorted(again.seen) == ["a", "e"]
    assert [record["custom_id"] for record in records(output.read_bytes())] == ["d", "c", "b", "e", "a"]

    idle = echo_engine()
    assert told(run(idle)) == (5, 0, 1, 4, 0, 0)
    assert idle.seen == []


def test_an_engine_that_fails_leaves_the_answers_before_it(
    tmp_path: Path, echo_engine: Any, encode: Encode, run_info: RunInfo
) -> None:
    class Failing(echo_engine):  # type: ignore[misc]
        def run(self, requests: Iterable[Request]) -> Iterator[Completion]:
            yield next(super().run(requests))
            raise BcliError("Out of memory.", exit_code=ExitCode.ENGINE)

    output = tmp_path / "answers.jsonl"
    with (
        pytest.raises(BcliError, match="Out of memory"),
        open_answers(output, ITEMS, run_info, input_path=None) as answers,
    ):
        run_batch(ITEMS, Failing(), answers, run_info, encode=encode, progress=lambda _: None)
    assert [record["custom_id"] for record in records(output.read_bytes())] == ["b", "d"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.data())
def test_cut_anywhere_a_file_is_finished(
    echo_engine: Any, encode: Encode, run_info: RunInfo, data: st.DataObject
) -> None:
    stream = io.BytesIO()
    first = data.draw(st.permutations(ITEMS))
    run_batch(first, echo_engine(), AnswerStream(stream), run_info, encode=encode, progress=lambda _: None)
    cut = stream.getvalue()[: data.draw(st.integers(0, len(stream.getvalue())))]
    whole = [line for line in cut.splitlines(keepends=True) if line.endswith(b"}\n")]
    kept = b"".join(line for line in whole if json.loads(line).get("error") is None)

    with TemporaryDirectory() as folder:
        output = Path(folder, "answers.jsonl")
        output.write_bytes(cut)
        with open_answers(output, ITEMS, run_info, input_path=None) as answers:
            run_batch(ITEMS, echo_engine(), answers, run_info, encode=encode, progress=lambda _: None)
        finished = output.read_bytes()
    assert finished.startswith(kept)
    assert Counter(record["custom_id"] for record in records(finished)) == Counter("abcde")


def test_kill_9_at_any_moment_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    command = [sys.executable, str(Path(__file__).with_name("killed_writer.py")), str(output), "5000"]
    moments = random.Random(9)
    answered = b""
    for _ in range(20):
        before = output.stat().st_mtime_ns if output.exists() else 0
        with subprocess.Popen([*command, "0.0002"]) as writer:
            while writer.poll() is None and not (output.exists() and output.stat().st_mtime_ns > before):
                time.sleep(0.0005)
            time.sleep(moments.uniform(0, 0.02))
            writer.kill()
        assert writer.returncode == -9
        whole = output.read_bytes()
        whole = whole[: whole.rfind(b"\n") + 1]
        so_far = b"".join(line for line in whole.splitlines(keepends=True) if b'"error":{' not in line)
        assert so_far.startswith(answered)
        answered = so_far
    assert 0 < answered.count(b"\n") < 4500

    subprocess.run([*command, "0"], check=True)
    finished = output.read_bytes()
    assert finished.startswith(answered)
    lines = records(finished)
    assert Counter(line["custom_id"] for line in lines) == Counter(f"line-{number}" for number in range(1, 5001))
    assert sum("error" in line for line in lines) == 500
    assert list(tmp_path.iterdir()) == [output]


def test_exit_codes() -> None:
    bad = [BadLine(3, "not a JSON object")]
    assert exit_code([], BatchResult(total=2, done=1, skipped=1)) is ExitCode.OK
    assert exit_code([], BatchResult(total=2, done=1, failed=1)) is ExitCode.PARTIAL
    assert exit_code(bad, BatchResult(total=1, done=1)) is ExitCode.USAGE
    assert exit_code(bad, BatchResult(total=1, failed=1)) is ExitCode.USAGE
