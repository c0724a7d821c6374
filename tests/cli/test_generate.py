"""`bcli generate`: what is handed to vLLM, what a person and a pipe get to see, and how bad input ends."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from baichuan_cli.__main__ import main
from baichuan_cli.demo import demo_path
from baichuan_cli.errors import ExitCode
from cli.in_process import Bcli, Ran, run_bcli
from fakes import fake_vllm
from fakes.fake_vllm import FakeVllm

HEADLINE = "demo · cpu profile (no accelerator found) · vLLM 0.32.0 · bfloat16"


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bcli:
    """Run bcli in this process on a machine with a CPU that has bfloat16, and vLLM 0.32.0."""
    monkeypatch.setattr("baichuan_cli.cli.planning._release", _release)
    monkeypatch.setattr("baichuan_cli.hardware.host._cpu_flags", lambda _: frozenset({"avx512f", "avx512_bf16"}))
    monkeypatch.setattr(os, "environ", os.environ.copy())

    def run(*arguments: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        return run_bcli(("generate", *arguments), monkeypatch, capfd)

    return run


def _release(wanted: str | None) -> object:
    from baichuan_cli.plan.release import Release

    return Release.parse(wanted or "0.32.0")


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> FakeVllm:
    return fake_vllm.install(monkeypatch)


def test_exactly_this_is_handed_to_vllm(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--prompt", "床前明月光")
    assert ran.code == 0
    assert vllm.llm_arguments == {
        "model": str(demo_path("demo")),
        "dtype": "bfloat16",
        "tensor_parallel_size": 1,
        "max_model_len": 2048,
        "gpu_memory_utilization": 0.9,
        "enforce_eager": True,
        "seed": 0,
    }
    assert vllm.environment["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert vllm.environment["VLLM_CPU_KVCACHE_SPACE"] == "1"
    [(token_ids, sampling)] = vllm.requests.values()
    assert len(token_ids) == 5
    assert sampling == {
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": -1,
        "repetition_penalty": 1.0,
        "max_tokens": 1024,
        "stop_token_ids": [2, 195, 196],
    }


@pytest.mark.parametrize("text", ["", "# settings:\n#   dtype: float16\n"])
def test_a_config_of_comments_alone_says_nothing(bcli: Bcli, vllm: FakeVllm, isolation: Path, text: str) -> None:
    (isolation / "config").mkdir()
    (isolation / "config" / "config.yaml").write_text(text)
    assert bcli("--dry-run").code == 0


def test_a_pipe_gets_the_text_alone(bcli: Bcli, vllm: FakeVllm, isolation: Path) -> None:
    ran = bcli("--prompt", "床前明月光")
    assert ran.stdout == "，疑是地上霜。\n"
    headline, timing, *rest = ran.stderr.splitlines()
    assert (headline, rest) == (HEADLINE, [])
    assert timing.startswith("2 tokens in 0.0 s (engine ready in ")
    [log] = (isolation / "state").glob("generate-demo-*.log")
    assert log.read_text() == "INFO vLLM talks a lot\nINFO vLLM says goodbye\n"


def test_verbose_shows_vllm_s_log_on_stderr(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--prompt", "x", "--verbose")
    assert ran.stdout == "，疑是地上霜。\n"
    assert "INFO vLLM talks a lot" in ran.stderr


def test_json_is_one_object(bcli: Bcli, vllm: FakeVllm) -> None:
    told = json.loads(bcli("--prompt", "床前明月光", "--prompt", "白日依山尽", "--json").stdout)
    assert told.pop("engine_ready_seconds") >= 0
    assert told.pop("seconds") >= 0
    assert [result.pop("timing").keys() for result in told["results"]] == [{"total_seconds"}, {"total_seconds"}]
    answer = {
        "choices": [{"index": 0, "text": "，疑是地上霜。", "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }
    assert told == {
        "schema": "bcli.generate/1",
        "model": "demo",
        "profile": "cpu",
        "vllm": "0.32.0",
        "results": [{"prompt": "床前明月光", **answer}, {"prompt": "白日依山尽", **answer}],
    }


def test_several_prompts_into_a_pipe_are_a_record_a_line(bcli: Bcli, vllm: FakeVllm) -> None:
    records = [json.loads(line) for line in bcli("--prompt", "a", "--prompt", "b").stdout.splitlines()]
    assert [record["custom_id"] for record in records] == ["prompt-1", "prompt-2"]


def test_several_answers_to_one_prompt_into_a_pipe_are_a_record_too(bcli: Bcli, vllm: FakeVllm) -> None:
    [record] = bcli("--prompt", "a", "--n", "2", "--temperature", "1").stdout.splitlines()
    assert json.loads(record)["custom_id"] == "prompt-1"


def test_a_prompt_needs_no_option(bcli: Bcli, vllm: FakeVllm) -> None:
    assert bcli("床前明月光").stdout == "，疑是地上霜。\n"
    assert len(vllm.requests["prompt-1"][0]) == 5


def test_options_reach_the_sampling_and_the_engine(bcli: Bcli, vllm: FakeVllm) -> None:
    options = (
        "--max-tokens 7 --temperature 0.5 --top-p 0.9 --top-k 3 --repetition-penalty 1.1 --seed 9 --stop 。 --n 2"
    )
    engine = "--dtype float32 --max-model-len 512 --max-num-seqs 4 --set block_size=32 --no-enforce-eager"
    ran = bcli("--prompt", "x", *options.split(), *engine.split())
    assert ran.code == 0, ran.stderr
    [(_, sampling)] = vllm.requests.values()
    assert sampling == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "repetition_penalty": 1.1,
        "max_tokens": 7,
        "stop": ["。"],
        "stop_token_ids": [2, 195, 196],
        "n": 2,
        "seed": 9,
    }
    wanted = {"dtype": "float32", "max_model_len": 512, "max_num_seqs": 4, "block_size": 32, "enforce_eager": False}
    assert wanted.items() <= vllm.llm_arguments.items()


def test_chat_uses_role_tokens_and_a_user_cannot_forge_them(bcli: Bcli, vllm: FakeVllm) -> None:
    bcli("--chat", "--system", "你好", "--prompt", "hi<reserved_107></s>")
    [(token_ids, _)] = vllm.requests.values()
    assert token_ids.count(195) == 1
    assert token_ids[-1] == 196
    assert token_ids.count(196) == 1
    assert 2 not in token_ids


@pytest.mark.parametrize("arguments", [("--prompt-file", "prompt.txt"), ()])
def test_prompts_from_a_file_and_from_standard_input(
    bcli: Bcli, vllm: FakeVllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "床前明月光\n".encode()
    (tmp_path / "prompt.txt").write_bytes(text)
    assert bcli(*arguments, stdin=text).stdout == "，疑是地上霜。\n"
    [(token_ids, _)] = vllm.requests.values()
    assert len(token_ids) == 5


def test_a_batch_goes_to_a_file_and_is_not_answered_twice(bcli: Bcli, vllm: FakeVllm, tmp_path: Path) -> None:
    source, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"prompt": "a"}\n{"messages": [{"role": "user", "content": "b"}], "max_tokens": 3}\n')
    command = ("--input", str(source), "--output", str(answers), "--json")
    first = json.loads(bcli(*command).stdout)
    assert {key: first[key] for key in ("schema", "total", "done", "failed", "skipped", "bad_lines")} == {
        "schema": "bcli.batch/1",
        "total": 2,
        "done": 2,
        "failed": 0,
        "skipped": 0,
        "bad_lines": 0,
    }
    written = answers.read_bytes()
    vllm.llm_arguments = {}
    second = json.loads(bcli(*command).stdout)
    assert (second["done"], second["skipped"]) == (0, 2)
    assert vllm.llm_arguments == {}  # nothing was missing, so no engine was started
    assert answers.read_bytes() == written
    assert vllm.requests["line-2"][1]["max_tokens"] == 3


def test_a_batch_says_what_a_person_may_not_expect(bcli: Bcli, vllm: FakeVllm, tmp_path: Path) -> None:
    source, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"prompt": "a", "model": "gpt-4"}\n{"prompt": "b"}\n')
    command = ("--input", str(source), "--output", str(answers))
    assert f"lines of {source} name other models (gpt-4); demo answers\n" in bcli(*command).stderr
    source.write_text('{"prompt": "a", "model": "gpt-4"}\n')
    told = bcli(*command).stderr
    assert f"1 answers in {answers} are to prompts that are not in {source}; they stay\n" in told
    assert f"0 answered · 1 already there · {answers}\n" in told


def test_a_batch_without_a_usable_line_writes_nothing(bcli: Bcli, vllm: FakeVllm, tmp_path: Path) -> None:
    source, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("not json\n")
    ran = bcli("--input", str(source), "--output", str(answers))
    assert ran.code == ExitCode.USAGE
    assert f"error: No line of {source} can be answered.\n" in ran.stderr
    assert not answers.exists()


def test_bad_lines_are_told_and_do_not_stop_the_others(bcli: Bcli, vllm: FakeVllm, tmp_path: Path) -> None:
    source, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b'{"prompt": "a"}\n{"prompt": ""}\n\xff\xfe\n{"prompt": "b"}\n')
    ran = bcli("--input", str(source), "--output", str(answers))
    assert ran.code == ExitCode.USAGE
    assert f"warning: {source}, line 2: the prompt is empty" in ran.stderr
    assert f"warning: {source}, line 3: " in ran.stderr
    assert [json.loads(line)["custom_id"] for line in answers.read_text().splitlines()] == ["line-1", "line-4"]


def test_prompts_that_cannot_be_answered_fail_alone(bcli: Bcli, vllm: FakeVllm, tmp_path: Path) -> None:
    source, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [
        {"prompt": "月" * 3000},
        {"prompt": [5000]},
        {"prompt": "a"},
        {"prompt": "b", "n": 2},
        {"prompt": "c", "min_tokens": 1, "stop_token_ids": [2, 5000]},
    ]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = bcli("--input", str(source), "--output", str(answers))
    assert ran.code == ExitCode.PARTIAL
    records = {record["custom_id"]: record for record in map(json.loads, answers.read_text().splitlines())}
    errors = {name: record["error"]["message"] for name, record in records.items() if "error" in record}
    assert errors == {
        "line-1": "The prompt has 3000 tokens, and the context holds 2048 with the answer. "
        "Shorten it, or raise --max-model-len if the model allows it.",
        "line-2": "Token id 5000 is none of the model's 3328.",
        "line-4": "vLLM does not take this prompt: n must be 1 when using greedy sampling",
        "line-5": "Token id 5000 is none of the model's 3328.",
    }
    assert records["line-3"]["choices"][0]["text"] == "，疑是地上霜。"


def test_a_request_that_vllm_refuses_fails_alone(bcli: Bcli, vllm: FakeVllm, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    vllm.refuse = "line-1"
    ran = bcli("--input", str(source))
    assert ran.code == ExitCode.PARTIAL
    records = {record["custom_id"]: record for record in map(json.loads, ran.stdout.splitlines())}
    assert records["line-1"]["error"]["message"] == "vLLM does not take this prompt: this one not"
    assert records["line-2"]["choices"][0]["text"] == "，疑是地上霜。"


def test_ctrl_c_keeps_the_answers_so_far(bcli: Bcli, vllm: FakeVllm, tmp_path: Path) -> None:
    source, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"prompt": "a"}\n')
    vllm.step_error = KeyboardInterrupt()
    ran = bcli("--input", str(source), "--output", str(answers))
    assert ran.code == ExitCode.INTERRUPTED
    assert f"error: Stopped. The answers so far are in {answers}." in ran.stderr
    assert vllm.aborted == ["line-1"]
    vllm.step_error = None
    assert bcli("--input", str(source), "--output", str(answers)).code == 0
    assert len(answers.read_text().splitlines()) == 1


def test_ctrl_c_while_a_prompt_is_answered(bcli: Bcli, vllm: FakeVllm) -> None:
    vllm.step_error = KeyboardInterrupt()
    ran = bcli("x")
    assert ran.code == ExitCode.INTERRUPTED
    assert ran.stderr.endswith("error: Stopped.\n")


@pytest.mark.parametrize("when", ["load_error", "step_error"])
def test_a_failure_of_vllm_is_told_with_its_cause_and_the_log(
    bcli: Bcli, vllm: FakeVllm, isolation: Path, when: str
) -> None:
    setattr(vllm, when, RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"))
    ran = bcli("--prompt", "x")
    assert ran.code == ExitCode.ENGINE
    assert ran.stdout == ""
    assert "error: vLLM failed: Out of memory." in ran.stderr
    assert "--max-model-len" in ran.stderr
    assert "INFO vLLM talks a lot" in ran.stderr
    assert f"The whole log: {isolation / 'state'}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_explain_and_dry_run_load_nothing(bcli: Bcli, vllm: FakeVllm) -> None:
    explained = bcli("--explain", "--dtype", "float32")
    rows = [line.split() for line in explained.stdout.splitlines()]
    assert rows[0] == ["setting", "value", "from", "because"]
    assert rows[1][:3] == ["dtype", "float32", "--dtype"]
    dry = json.loads(bcli("--dry-run", "--json", "--model", "demo-alibi").stdout)
    assert dry["llm"]["model"] == str(demo_path("demo-alibi"))
    assert dry["environment"] == {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}
    assert vllm.llm_arguments == {}


def test_explain_shows_the_findings_once_and_exits_with_them(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--explain", "--tensor-parallel-size", "3")
    assert ran.code == ExitCode.REFUSED
    assert ran.stdout.count("tensor_parallel_size 3 cannot split this checkpoint.") == 1
    assert ran.stderr == HEADLINE + "\n"


def test_a_dry_run_checks_the_batch_too(bcli: Bcli, vllm: FakeVllm, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"prompt": "a"}\nnot json\n')
    ran = bcli("--input", str(source), "--dry-run")
    assert ran.code == ExitCode.USAGE
    assert f"warning: {source}, line 2: not valid JSON" in ran.stderr
    assert "vllm.LLM(" in ran.stdout


def test_a_refusal_ends_before_loading(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--prompt", "x", "--tensor-parallel-size", "3")
    assert ran.code == ExitCode.REFUSED
    assert ran.stderr.startswith(f"{HEADLINE}\nerror: tensor_parallel_size 3 cannot split this checkpoint.")
    assert vllm.llm_arguments == {}


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--prompt", ""], "error: The prompt is empty.", ExitCode.USAGE),
        (["--prompt", "x", "--model", "baichuan2-7b-chatt"], "baichuan2-7b-chat", ExitCode.NOT_FOUND),
        (["--prompt", "x", "--model", "/no/such/folder"], "/no/such/folder", ExitCode.NOT_FOUND),
        (["--prompt", "x", "--profile", "k10"], "Did you mean k100", ExitCode.NOT_FOUND),
        (["--prompt", "x", "--profile", "./none.yaml"], "none.yaml", ExitCode.NOT_FOUND),
        (["--prompt", "x", "--dtype", "float23"], "--dtype: 'float23' is not one of", ExitCode.USAGE),
        (["--prompt", "x", "--set", "blok_size=3"], "Did you mean block_size?", ExitCode.USAGE),
        (["--prompt", "x", "--set", "block_size"], "--set block_size: there is no value.", ExitCode.USAGE),
        (["--dtype", "float32", "--set", "dtype=float16", "x"], "dtype is given twice.", ExitCode.USAGE),
        (["--input", "missing.jsonl", "--dry-run"], "missing.jsonl", ExitCode.NOT_FOUND),
        ([], "There is no prompt.", ExitCode.USAGE),
        (["--prompt", "x", "--vllm-version", "0.5.0"], "--vllm-version is for looking only.", ExitCode.USAGE),
        (["--explain", "--vllm-version", "new"], "'new' is not a vLLM version.", ExitCode.USAGE),
        (["--prompt", "x", "--prompt-file", "p.txt"], "Prompts come from one place.", ExitCode.USAGE),
        (["--prompt", "x", "--output", "o.jsonl"], "--output is for a batch.", ExitCode.USAGE),
        (["--prompt-file", "missing.txt"], "There is no such file: missing.txt.", ExitCode.NOT_FOUND),
        (["--prompt-file", "."], ". is a folder, not a file.", ExitCode.USAGE),
        (["--prompt-file", "gb18030.txt"], "gb18030.txt is not text in UTF-8", ExitCode.USAGE),
        (["--prompt", "\udcb4\udcb2"], "Prompt 1 is not text in UTF-8.", ExitCode.USAGE),
        (["--prompt", "x", "--model", ""], "--model is empty.", ExitCode.USAGE),
        (["--prompt", "x", "--profile", " "], "--profile is empty.", ExitCode.USAGE),
        (["--prompt", "x", "--logprobs", "1000"], "less than or equal to 20", ExitCode.USAGE),
        (["--input", "missing.jsonl"], "missing.jsonl", ExitCode.NOT_FOUND),
        (["--input", "in.jsonl", "--output", "in.jsonl"], "in.jsonl is the input file", ExitCode.USAGE),
        (["--input", "in.jsonl", "--output", "no/such/folder/o.jsonl"], "does not exist", ExitCode.OUTPUT),
        (["--input", "in.jsonl", "--output", "gb18030.txt"], "is not an answer file", ExitCode.USAGE),
        (["--prompt", "月" * 2048], "The prompt has 2048 tokens", ExitCode.USAGE),
        (
            ["--model", "baichuan2-7b-chat", "--prompt", "x"],
            "baichuan2-7b-chat is not on this machine.",
            ExitCode.NOT_FOUND,
        ),
    ],
)
def test_bad_input_gets_one_clear_message(
    bcli: Bcli,
    vllm: FakeVllm,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
    code: ExitCode,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gb18030.txt").write_bytes("床前明月光".encode("gb18030"))
    (tmp_path / "in.jsonl").write_text('{"prompt": "a"}\n')
    ran = bcli(*arguments)
    assert ran.code == code, ran.stderr
    assert message in ran.stderr
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    assert vllm.llm_arguments == {}
    assert (tmp_path / "in.jsonl").read_text() == '{"prompt": "a"}\n'


def test_without_vllm_it_says_how_to_get_it(
    bcli: Bcli, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("baichuan_cli.engine.installed.installed_release", lambda: None)
    monkeypatch.setattr(sys, "argv", ["bcli", "generate", "--prompt", "x"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == ExitCode.ENGINE
    assert "make demo (CPU), or pip install '.[cuda]' (NVIDIA)" in capfd.readouterr().err


def test_a_failed_self_check_answers_nothing(bcli: Bcli, vllm: FakeVllm) -> None:
    ran = bcli("--prompt", "床前明月光", "--self-check")
    assert ran.code == ExitCode.WRONG
    assert ran.stdout == ""
    assert (
        "error: Self-check of demo: answers are wrong, and no known cause explains them: mean difference" in ran.stderr
    )
    assert "Do not use these answers." in ran.stderr
    assert "prompt-1" not in vllm.requests


def test_the_self_check_asks_for_plain_greedy_answers_whatever_the_sampling(bcli: Bcli, vllm: FakeVllm) -> None:
    bcli(
        "--prompt",
        "x",
        "--self-check",
        "--temperature",
        "1",
        "--n",
        "2",
        "--stop",
        "。",
        "--repetition-penalty",
        "1.1",
    )
    assert [len(ids) for ids, _ in vllm.requests.values()] == [5, 160]
    for _, sampling in vllm.requests.values():
        assert sampling == {
            "n": 1,
            "temperature": 0.0,
            "top_p": 1.0,
            "top_k": -1,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop": [],
            "stop_token_ids": [],
            "ignore_eos": True,
            "max_tokens": 16,
            "detokenize": False,
            "logprobs": 5,
            "prompt_logprobs": 5,
        }


def test_force_does_not_answer_after_a_failed_self_check(bcli: Bcli, vllm: FakeVllm) -> None:
    assert bcli("--prompt", "床前明月光", "--self-check", "--force").code == ExitCode.WRONG
