"""`bcli bench` from its options to its file; what it hands to vLLM, and what a person sees."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from baichuan_cli.bench.compare import Change, Verdict
from baichuan_cli.bench.record import Ceiling, Record, read_records
from baichuan_cli.bench.statistics import Interval
from baichuan_cli.errors import ExitCode
from cli.in_process import Bcli, Ran, run_bcli
from fakes import fake_vllm
from fakes.fake_vllm import FakeVllm
from fakes.openai_server import Behaviour, Fault, running_server

QUIET = {"host": {"cores": 2, "load_average": 0.0}, "accelerators": []}


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Bcli:
    """Run `bcli bench` in this process, in an empty folder, on a quiet machine whose ceiling is known."""
    from baichuan_cli.plan.release import Release

    ceiling = Ceiling(bandwidth_gb_s=40, bandwidth_from="measured here", peak_tflops=1, peak_from="measured here")
    monkeypatch.setattr("baichuan_cli.cli.planning._release", lambda _: Release.parse("0.32.0"))
    monkeypatch.setattr("baichuan_cli.hardware.host._cpu_flags", lambda _: frozenset({"avx512f", "avx512_bf16"}))
    monkeypatch.setattr("baichuan_cli.bench.ceiling.find_ceiling", lambda *_: ceiling)
    monkeypatch.setattr("baichuan_cli.bench.environment.look", lambda *_: QUIET)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        return run_bcli(("bench", *arguments), monkeypatch, capfd)

    return run


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> FakeVllm:
    return fake_vllm.install(monkeypatch)


def saved() -> Record:
    (path,) = Path().glob("*.json")
    (record,) = read_records(path)
    return record


def test_throughput_without_a_subcommand(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--model", "demo", "--input-len", "32", "--output-len", "2", "--num-prompts", "3", "--repeats", "2")
    assert ran.code == 0, ran.stderr
    assert vllm.llm_arguments["enable_prefix_caching"] is False
    token_ids, sampling = vllm.requests["0"]
    assert len(token_ids) == 32
    assert {name: sampling[name] for name in ("temperature", "ignore_eos", "stop_token_ids")} == {
        "temperature": 0.0,
        "ignore_eos": True,
        "stop_token_ids": [],
    }
    rows = [re.split(r"\s{2,}", line)[0] for line in ran.stdout.splitlines()]
    assert rows[1:6] == ["output tokens/s", "total tokens/s", "prompt tokens/s", "requests/s", "whole run"]
    assert "(2 runs after 1 warm-up)" in ran.stdout
    assert re.search(r"run saved to demo-\d{8}-1\.json", ran.stderr)
    record = saved()
    assert record.shape == {
        "dataset": "random",
        "input_len": 32,
        "output_len": 2,
        "num_prompts": 3,
        "temperature": 0.0,
    }
    assert record.settings["enable_prefix_caching"].source == "bench"
    assert record.model.parameters == 3_500_000 or record.model.parameters
    assert record.marks == ()


def test_the_person_may_have_the_prefix_cache(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--num-prompts", "1", "--set", "enable_prefix_caching=true")
    assert ran.code == 0
    assert vllm.llm_arguments["enable_prefix_caching"] is True


def test_tokens_are_counted_as_the_engine_made_them(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--num-prompts", "3", "--output-len", "128", "--repeats", "1", "--json")  # it answers with 2 tokens
    data = json.loads(ran.stdout)
    by_name = {metric["name"]: metric["summary"]["mean"] for metric in data["metrics"]}
    assert by_name["output_tokens_per_s"] * by_name["run_s"] == pytest.approx(6)
    assert by_name["prompt_tokens_per_s"] * by_name["run_s"] == pytest.approx(96)


def test_legacy_counts_what_was_asked_for_and_says_so(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--legacy", "--num-prompts", "3", "--output-len", "128")
    assert ran.code == 0
    record = saved()
    rate, seconds = record.find("output_tokens_per_s"), record.find("run_s")
    assert rate is not None and seconds is not None
    assert rate.samples[0] * seconds.samples[0] == pytest.approx(3 * 128)
    assert len(rate.samples) == 1
    assert len(vllm.requests) == 3
    assert len({tuple(ids) for ids, _ in vllm.requests.values()}) == 1
    assert "enable_prefix_caching" not in vllm.llm_arguments
    assert "warning: legacy figures flatter: all prompts are the same" in ran.stderr
    assert record.shape["temperature"] == 1.0


def test_latency_at_two_batch_sizes(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("latency", "--batch-size", "1,4", "--output-len", "2", "--repeats", "3")
    assert ran.code == 0, ran.stderr
    rows = [re.split(r"\s{2,}", line)[:2] for line in ran.stdout.splitlines()[1:7]]
    assert rows == [[name, size] for size in ("1", "4") for name in ("TTFT", "TPOT", "end to end")]
    ttft = saved().find("ttft_ms", {"batch_size": 4})
    assert ttft is not None
    assert len(ttft.samples) == 12
    assert (
        "TPOT  (end to end - TTFT) / (output tokens - 1), a request (vLLM: TPOT; guidellm, aiperf: ITL)" in ran.stderr
    )


def test_what_cannot_be_measured_is_refused_before_anything_is_loaded(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--input-len", "4000")
    assert ran.code == ExitCode.REFUSED
    assert "error: 4000 + 128 tokens do not fit a context of 2048." in ran.stderr
    assert vllm.llm_arguments == {}


@pytest.mark.parametrize("command", [(), ("latency",)])
def test_ctrl_c_ends_with_its_own_exit_code(bcli: Bcli, vllm: FakeVllm, command: tuple[str, ...]) -> None:
    vllm.step_error = KeyboardInterrupt()
    ran = bcli(*command)
    assert ran.code == ExitCode.INTERRUPTED
    assert ran.stderr.splitlines()[-1] == "error: Stopped. Nothing was saved."
    assert list(Path().iterdir()) == []


def test_an_option_in_front_of_a_subcommand_is_not_lost_in_silence(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--model", "demo", "latency")
    assert ran.code == ExitCode.USAGE
    assert ran.stderr == (
        "error: --model stands before latency, which would not see it.\n"
        "  Put it behind: bcli bench latency --model …\n"
    )


def test_the_file_goes_where_it_is_asked_for(bcli: Bcli, vllm: FakeVllm) -> None:
    assert bcli("--num-prompts", "1", "--output", "run.json").code == 0
    assert Path("run.json").exists()
    ran = bcli("--num-prompts", "1", "--output", "nowhere/run.json")
    assert (ran.code, ran.stderr.splitlines()[-1]) == (ExitCode.OUTPUT, "error: There is no folder nowhere.")


def test_where_nothing_can_be_written_nothing_is_measured(
    bcli: Bcli, vllm: FakeVllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("results").mkdir()
    ran = bcli("--num-prompts", "1", "--output", "results")
    assert ran.code == ExitCode.OUTPUT
    assert ran.stderr.endswith("error: results is a folder.\n  Name a file in it: --output results/run.json\n")
    monkeypatch.setattr("baichuan_cli.cli.bench.offline.os.access", lambda *_: False)  # root may write everywhere
    ran = bcli("--num-prompts", "1")
    assert ran.code == ExitCode.OUTPUT
    assert ran.stderr.endswith(
        f"error: Not allowed to write into {tmp_path}.\n  Give a file elsewhere: --output FILE\n"
    )
    assert vllm.llm_arguments == {}


def test_serve_measures_a_server_that_runs(bcli: Bcli) -> None:
    with running_server(Behaviour(tokens=4)) as server:
        ran = bcli("serve", "--url", server.url, "--num-prompts", "10", "--max-concurrency", "2", "--slo", "ttft:5000")
    assert ran.code == 0, ran.stderr
    rows = [re.split(r"\s{2,}", line)[0] for line in ran.stdout.splitlines()]
    assert rows == [
        *("", "TTFT", "TPOT", "ITL", "end to end"),
        *("", "output tokens/s", "total tokens/s", "requests/s", "goodput requests/s"),
    ]
    assert ran.stderr.splitlines()[0] == f"demo at {server.url}"
    record = saved()
    assert record.environment["server"] == {"url": server.url, "model": "demo", "root": "/models/demo"}
    assert record.shape["max_concurrency"] == 2
    assert len(server.requests) == 18  # 8 of them to warm up


def test_serve_sends_chats_as_text(bcli: Bcli) -> None:
    with running_server(Behaviour(tokens=4)) as server:
        ran = bcli("serve", "--url", server.url, "--num-prompts", "2", "--endpoint", "chat", "--warmup", "0")
    assert ran.code == 0, ran.stderr
    (message,) = server.requests[0].body["messages"]
    assert message["role"] == "user"
    assert message["content"]


def test_serve_fails_where_requests_failed(bcli: Bcli) -> None:
    with running_server(Behaviour(tokens=4, fault=Fault.FAILED, fault_every=5)) as server:
        arguments = ("serve", "--url", server.url, "--num-prompts", "10", "--warmup", "0")
        ran = bcli(*arguments)
        allowed = bcli(*arguments, "--allow-failures")
    assert ran.code == ExitCode.PARTIAL
    assert "warning: 2 of 10 requests failed: The server at" in ran.stderr
    assert allowed.code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("demo", "--url", "http://127.0.0.1:1"),
            "error: --url measures a server that runs; demo would start another.",
        ),
        (
            ("--url", "http://127.0.0.1:1", "--dtype", "float16"),
            "error: --dtype is for a server that bcli starts; this one runs already.",
        ),
        (("--url", "http://127.0.0.1:1"), "error: Nothing answers at http://127.0.0.1:1/v1"),
        (("demo", "--endpoint", "chats"), "error: --endpoint 'chats' is neither completions nor chat."),
        (("demo", "--model", "demo"), "error: The model is given twice: demo and --model demo."),
    ],
)
def test_serve_refuses_what_makes_no_sense(bcli: Bcli, arguments: tuple[str, ...], message: str) -> None:
    ran = bcli("serve", *arguments)
    assert ran.code != 0
    assert ran.stderr.splitlines()[0].startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "poems"), "error: There is no data set 'poems'."),
        (("--input-len", "4000"), "error: 4000 + 128 tokens do not fit a context of 2048."),
        (("--output", "nowhere/run.json"), "error: There is no folder nowhere."),
    ],
)
def test_what_cannot_be_sent_starts_no_server(
    bcli: Bcli, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baichuan_cli.engine.server.Server.start", lambda *_, **__: pytest.fail("it was started"))
    assert message in bcli("serve", "demo", *arguments).stderr.splitlines()


def test_serve_needs_to_know_the_vocabulary(bcli: Bcli) -> None:
    with running_server(models=("my-model",)) as server:
        ran = bcli("serve", "--url", server.url)
        named = bcli("serve", "--url", server.url, "--model", "baichuan2-7b", "--num-prompts", "2")
    assert ran.code == ExitCode.NOT_FOUND
    assert ran.stderr == (
        "error: The server calls its model my-model, and no such model is known here.\n"
        "  Say which it is, so that prompts are of its tokens: --model NAME_OR_FOLDER\n"
    )
    assert named.code == 0, named.stderr


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the work of a sweep and of tuning happen here, where the stand-in for vLLM is."""
    monkeypatch.setattr("baichuan_cli.bench.child.results_of", lambda work, *arguments: work(*arguments))


@pytest.mark.usefixtures("in_this_process")
def test_sweep_measures_every_point_and_keeps_the_ones_that_fail(bcli: Bcli, vllm: FakeVllm) -> None:
    arguments = ("sweep", "--batch-size", "1..4", "--input-len", "16,4000", "--output-len", "2", "--repeats", "1")
    ran = bcli(*arguments, "--output", "sweep.jsonl")
    assert ran.code == ExitCode.PARTIAL
    told = [line for line in ran.stderr.splitlines() if line.startswith("[")]
    assert len(told) == 6
    assert told[3] == (
        "[4/6] input len 4000 · output len 2 · batch size 1: failed: 4000 + 2 tokens do not fit a context of 2048."
    )
    assert len(read_records(Path("sweep.jsonl"))) == 3
    again = bcli(*arguments, "--output", "sweep.jsonl")
    assert "6 of 6 points are in sweep.jsonl already" in again.stderr
    assert again.stdout == ran.stdout
    other = bcli(*arguments, "--warmup", "0", "--output", "sweep.jsonl")
    assert other.code == ExitCode.OUTPUT
    assert "error: sweep.jsonl is of a sweep with other options." in other.stderr


@pytest.mark.usefixtures("in_this_process")
def test_a_sweep_continues_after_a_line_that_was_cut_off(bcli: Bcli, vllm: FakeVllm) -> None:
    arguments = ("sweep", "--batch-size", "1,2", "--output-len", "2", "--repeats", "1", "--output", "sweep.jsonl")
    assert bcli(*arguments).code == 0
    path = Path("sweep.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    ran = bcli(*arguments)
    assert ran.code == 0
    assert "1 of 2 points are in sweep.jsonl already" in ran.stderr
    assert len(read_records(path)) == 2


@pytest.mark.usefixtures("in_this_process")
def test_a_sweep_goes_on_with_other_loads_and_settings(bcli: Bcli, vllm: FakeVllm) -> None:
    arguments = ("sweep", "--output-len", "2", "--repeats", "1", "--output", "sweep.jsonl")
    assert bcli(*arguments, "--batch-size", "1,2", "--vary", "block_size=32").code == 0
    ran = bcli(*arguments, "--batch-size", "4")
    assert ran.code == 0
    told = [line for line in ran.stderr.splitlines() if "[" in line or "already" in line]
    assert [line.partition(":")[0] for line in told] == ["[1/1] input len 32 · output len 2 · batch size 4"]
    rows = [line.split()[:4] for line in ran.stdout.splitlines()[1:]]
    assert rows == [["32", "32", "2", "1"], ["32", "32", "2", "2"], ["–", "32", "2", "4"]]


@pytest.mark.usefixtures("in_this_process")
def test_a_sweep_is_of_the_model_that_the_environment_names(
    bcli: Bcli, vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BCLI_MODEL", "demo-alibi")
    ran = bcli("sweep", "--batch-size", "1", "--output-len", "2", "--repeats", "1", "--json")
    assert json.loads(ran.stdout)["points"][0]["record"]["model"]["name"] == "demo-alibi"
    assert list(Path().glob("demo-alibi-*.jsonl"))


@pytest.mark.usefixtures("in_this_process")
def test_a_file_of_something_else_is_left_as_it_is(bcli: Bcli, vllm: FakeVllm) -> None:
    Path("letter.txt").write_text("Dear")
    ran = bcli("sweep", "--batch-size", "1", "--output", "letter.txt")
    assert ran.code == ExitCode.INVALID
    assert "error: letter.txt is no run of bcli's: its last line is no point of a sweep.\n" in ran.stderr
    assert Path("letter.txt").read_text() == "Dear"


@pytest.mark.usefixtures("in_this_process")
def test_sweep_as_json(bcli: Bcli, vllm: FakeVllm) -> None:
    data = json.loads(bcli("sweep", "--batch-size", "2", "--output-len", "2", "--repeats", "1", "--json").stdout)
    assert data["schema"] == "bcli.bench-sweep/1"
    assert data["points"][0]["at"] == {"model": "demo", "input_len": 32, "output_len": 2, "batch_size": 2}


def test_a_sweep_of_a_value_that_makes_no_sense_starts_nothing(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("sweep", "--vary", "block_size=32,nope")
    assert ran.code == ExitCode.USAGE
    assert ran.stderr == "error: --set block_size: 'nope' is not a whole number, 1 or more.\n"
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("in_this_process")
def test_tune_writes_no_profile_where_nothing_is_better(
    bcli: Bcli, vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baichuan_cli.bench.tune.compare", _nothing_changed)
    monkeypatch.setattr("baichuan_cli.bench.environment.doubts", lambda _: ["the machine was busy before the run"])
    ran = bcli("tune", "--only", "block_size", "--num-prompts", "2", "--output-len", "2")
    assert ran.code == 0, ran.stderr
    told = ran.stderr.splitlines()
    assert told.index("warning: the machine was busy before the run") + 1 == _place(
        told, "cpu alone: output tokens/s "
    )
    assert ran.stdout == "Nothing is better than the profile cpu; no file was written.\n"
    assert [line.split()[1] for line in ran.stderr.splitlines() if line.startswith("[")] == [
        "block_size=32",
        "block_size=64",
        "block_size=128",
    ]
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("in_this_process")
def test_tune_writes_what_is_better_and_was_confirmed(
    bcli: Bcli, vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(old: Record, new: Record) -> list[Change]:
        faster = new.settings["block_size"].value == 64 != old.settings["block_size"].value
        return [_change(0.3 if faster else 0.0, "improved" if faster else "noise")]

    monkeypatch.setattr("baichuan_cli.bench.tune.compare", judged)
    ran = bcli("tune", "--only", "block_size", "--num-prompts", "2", "--output-len", "2", "--output", "mine.yaml")
    assert (ran.code, ran.stdout) == (0, "mine.yaml\n")
    assert "+30.0% confirmed · use it: --profile mine.yaml" in ran.stderr
    assert "  block_size: {value: 64, because:" in Path("mine.yaml").read_text(encoding="utf-8")
    assert bcli("tune", "--only", "block_size", "--output", "mine.yaml").code == ExitCode.OUTPUT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--goal", "speed"), "error: --goal 'speed' is neither throughput nor latency."),
        (("--only", "dtype"), "error: --only: dtype is not tried here."),
        (("--only", "enforce_eager", "--enforce-eager"), "error: No setting is left to try."),
    ],
)
def test_tune_refuses_what_makes_no_sense(
    bcli: Bcli, vllm: FakeVllm, arguments: tuple[str, ...], message: str
) -> None:
    ran = bcli("tune", *arguments)
    assert ran.code == ExitCode.USAGE
    assert message in ran.stderr.splitlines()


def test_tune_refuses_a_place_for_its_profile_before_it_measures(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("tune", "--output", "nowhere/mine.yaml")
    assert (ran.code, ran.stderr.splitlines()[-1]) == (ExitCode.OUTPUT, "error: There is no folder nowhere.")
    assert vllm.llm_arguments == {}


def _place(lines: list[str], start: str) -> int:
    return next(number for number, line in enumerate(lines) if line.startswith(start))


def _nothing_changed(old: Record, new: Record) -> list[Change]:
    return [_change(0.0, "noise")]


def _change(change: float, verdict: Verdict) -> Change:
    return Change(
        "output_tokens_per_s", "tokens/s", {}, 1.0, 1.0 + change, change, Interval(None, None), 0.5, verdict, "higher"
    )
