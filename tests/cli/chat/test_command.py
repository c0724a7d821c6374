"""`bcli chat` through a pipe: what a server is sent, what a pipe gets to see, and how bad input ends."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from baichuan_cli.catalog.model import ASSISTANT_ID, USER_ID
from baichuan_cli.demo import demo_path
from baichuan_cli.errors import ExitCode
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.serving import ServeOptions
from baichuan_cli.tokenizer.load import load_tokenizer
from cli.in_process import Bcli, Ran, run_bcli
from fakes.openai_server import POEM, Behaviour, FakeServer, Fault, running_server

ANSWER = POEM[:12]


@pytest.fixture
def bcli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Bcli:
    def run(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        return run_bcli(("chat", *arguments), monkeypatch, capfd)

    return run


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server(Behaviour(text=ANSWER), models=("demo", "other")) as server:
        yield server


@pytest.fixture
def own_server(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Put the server in the place of the one that bcli would start; return the plans that it is started with."""
    plans: list[Plan] = []

    class Started:
        url, model_name, api_key = server.url, "demo", None

        @classmethod
        def start(cls, plan: Plan, options: ServeOptions, *, on_progress: Callable[[str], None]) -> Started:
            plans.append(plan)
            on_progress("importing vLLM")
            return cls()

        def poll(self, within: float = 0) -> int | None:
            return None

        def stop(self) -> None:
            plans.append(plans[-1])

    monkeypatch.setattr("baichuan_cli.cli.chat.own_engine.Server", Started)
    return plans


def test_the_answer_alone_is_on_stdout(bcli: Bcli, server: FakeServer) -> None:
    ran = bcli("--url", server.url, stdin="你好\n第二行\n")
    assert (ran.code, ran.stdout) == (0, f"{ANSWER}\n")
    assert ran.stderr == f"demo at {server.url}\n"
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.body == {
        "model": "demo",
        "messages": [{"role": "user", "content": "你好\n第二行"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_foreign_server_is_asked_for_what_the_person_says_and_no_more(
    bcli: Bcli, server: FakeServer, isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (isolation / "config").mkdir()
    (isolation / "config" / "config.yaml").write_text("sampling:\n  top_p: 0.9\n  n: 2\nsettings:\n  dtype: float16\n")
    monkeypatch.setenv("BCLI_TEMPERATURE", "0.7")
    monkeypatch.setenv("VLLM_API_KEY", "geheim")
    server.api_key = "geheim"
    arguments = ("--url", server.url, "other", "--system", "诗", "--top-k", "3", "--stop", "。", "--max-tokens", "5")
    assert bcli(*arguments, stdin="你好").code == 0
    body = server.requests[0].body
    del body["stream"], body["stream_options"]
    assert body == {
        "model": "other",
        "messages": [{"role": "system", "content": "诗"}, {"role": "user", "content": "你好"}],
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 3,
        "stop": ["。"],
        "max_tokens": 5,
    }
    [kept] = (isolation / "data" / "chats").iterdir()
    assert "geheim" not in kept.read_text()


def test_our_own_engine_is_sent_token_ids_by_the_official_layout(
    bcli: Bcli, server: FakeServer, own_server: list[Plan]
) -> None:
    tokenizer = load_tokenizer(demo_path("demo"))
    ran = bcli("demo", "--system", "诗", stdin="《静夜思》")
    assert (ran.code, ran.stdout) == (0, f"{ANSWER}\n")
    [request] = server.requests
    assert request.path == "/v1/completions"
    del request.body["stream"], request.body["stream_options"]
    prompt = [*tokenizer.encode("诗"), USER_ID, *tokenizer.encode("《静夜思》"), ASSISTANT_ID]
    assert request.body == {
        "model": "demo",
        "prompt": prompt,
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": -1,
        "repetition_penalty": 1.0,
        "max_tokens": 1024,
        "stop_token_ids": [2, USER_ID, ASSISTANT_ID],
    }
    assert len(own_server) == 2  # started, and stopped


def test_room_for_the_answer_is_kept_free(bcli: Bcli, server: FakeServer, own_server: list[Plan]) -> None:
    ran = bcli("demo", "--max-model-len", "64", stdin="望" * 100)
    body = server.requests[0].body
    assert len(body["prompt"]) == body["max_tokens"] == 32
    assert body["prompt"][-1] == ASSISTANT_ID
    assert "warning: too long for the context: the first " in ran.stderr


def test_when_the_context_is_full_the_oldest_rounds_go(bcli: Bcli, server: FakeServer, own_server: list[Plan]) -> None:
    question = "《静夜思》床前明月光疑是地上霜"
    told = [bcli("demo", "--max-model-len", "64", stdin=question).stderr]
    told += [bcli("demo", "--max-model-len", "64", "--resume", stdin=question).stderr for _ in range(2)]
    dropped = ["context is full: the oldest" in stderr for stderr in told]
    sizes = [len(request.body["prompt"]) for request in server.requests]
    assert dropped == [False, True, True]
    assert sizes[0] == sizes[1] == sizes[2] <= 32
    assert "the oldest 2 rounds are left out of what the model is given" in told[2]


def test_one_json_object(bcli: Bcli, server: FakeServer, isolation: Path) -> None:
    ran = bcli("--url", server.url, "--json", stdin="你好")
    told = json.loads(ran.stdout)
    timing = told.pop("timing")
    assert 0 < timing["first_token_seconds"] <= timing["total_seconds"]
    [kept] = (isolation / "data" / "chats").iterdir()
    assert told == {
        "schema": "bcli.chat-answer/1",
        "model": "demo",
        "conversation": kept.stem,
        "answer": ANSWER,
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 2, "completion_tokens": 12, "cached_tokens": None},
    }


def test_a_conversation_goes_on_from_pipe_to_pipe(bcli: Bcli, server: FakeServer) -> None:
    bcli("--url", server.url, "other", "--system", "诗", "--stats", stdin="一")
    ran = bcli("--resume", stdin="二")
    assert (ran.code, ran.stdout) == (0, f"{ANSWER}\n")
    assert ran.stderr == f"other at {server.url}\n"
    assert (server.requests[1].body["model"], server.requests[1].body["messages"]) == (
        "other",
        [
            {"role": "system", "content": "诗"},
            {"role": "user", "content": "一"},
            {"role": "assistant", "content": ANSWER},
            {"role": "user", "content": "二"},
        ],
    )
    listed = bcli("--list", "--json")
    [kept] = json.loads(listed.stdout)["conversations"]
    assert (kept["model"], kept["url"], kept["rounds"], kept["first_question"]) == ("other", server.url, 2, "一")
    assert bcli("--resume", kept["name"], stdin="三").code == 0
    assert bcli("other", "--resume", stdin="四").code == 0
    assert len(server.requests[3].body["messages"]) == 8
    assert bcli("demo", "--resume", stdin="五").code == ExitCode.NOT_FOUND


def test_nothing_is_kept_with_no_save(bcli: Bcli, server: FakeServer, isolation: Path) -> None:
    assert bcli("--url", server.url, "--no-save", stdin="你好").code == 0
    assert not (isolation / "data").exists()
    assert bcli("--list").stderr == "There is no conversation yet. Begin one: bcli chat\n"


def test_a_password_in_the_address_is_neither_shown_nor_kept(bcli: Bcli, server: FakeServer, isolation: Path) -> None:
    ran = bcli("--url", server.url.replace("//", "//wang:geheim@").removesuffix("/v1"), stdin="你好")
    assert (ran.code, ran.stderr) == (0, f"demo at {server.url}\n")
    [kept] = (isolation / "data" / "chats").iterdir()
    assert "geheim" not in kept.read_text()
    assert server.url in kept.read_text()


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (Fault.UNAUTHORIZED, ExitCode.ENGINE, "does not let this request in (401): Unauthorized"),
        (Fault.FAILED, ExitCode.ENGINE, "failed (500): EngineCore encountered an issue."),
        (Fault.CUT, ExitCode.ENGINE, "broke off in mid-answer."),
    ],
)
def test_a_failure_has_an_exit_code_and_what_came_is_kept(
    fault: Fault, code: ExitCode, told: str, bcli: Bcli, server: FakeServer, isolation: Path
) -> None:
    server.behaviour = Behaviour(tokens=12, fault=fault, fault_after=4)
    ran = bcli("--url", server.url, stdin="你好")
    assert ran.code == code
    assert ran.stderr.splitlines()[1] == f"error: The server at {server.url} {told}"
    shown = POEM[:4] if fault is Fault.CUT else ""
    assert ran.stdout == (f"{shown}\n" if shown else "")
    [kept] = (isolation / "data" / "chats").iterdir()
    assert json.loads(kept.read_text().splitlines()[-1]) == {
        "event": "assistant",
        "content": shown,
        "finish": "failed",
    }


def base_model(folder: Path) -> str:
    """Make a folder with a model that does not say that it can chat."""
    shutil.copytree(demo_path("demo"), folder)
    config = json.loads((folder / "generation_config.json").read_text())
    del config["user_token_id"]
    (folder / "generation_config.json").write_text(json.dumps(config))
    return str(folder)


def test_a_base_model_is_no_chat_model_unless_forced(
    bcli: Bcli, server: FakeServer, own_server: list[Plan], tmp_path: Path
) -> None:
    path = base_model(tmp_path / "base")
    refused = bcli(path, stdin="你好")
    assert (refused.code, refused.stdout) == (ExitCode.REFUSED, "")
    assert refused.stderr.splitlines()[-4:] == [
        "error: base is no chat model: it continues text, and was not trained to answer.",
        "  Have it continue a text: bcli generate --model base 床前明月光",
        "  Or take a chat model: bcli models list",
        "  If it was trained to chat all the same, add --force.",
    ]
    assert own_server == []
    assert bcli(path, "--force", stdin="你好").code == 0
    body = server.requests[0].body
    assert (body["prompt"][0], body["prompt"][-1]) == (USER_ID, ASSISTANT_ID)
    assert body["stop_token_ids"] == [2, USER_ID, ASSISTANT_ID]
    assert own_server[0].model.chat_family is not None


def test_a_plan_can_be_looked_at(bcli: Bcli) -> None:
    ran = bcli("baichuan2-13b-chat", "--profile", "z100l", "--vllm-version", "0.5.0", "--explain")
    assert ran.code == 0
    assert "tensor_parallel_size" in ran.stdout
    command = bcli("demo", "--dry-run").stdout
    assert "VLLM_API_KEY='***' \\\n" in command
    assert " -m vllm.entrypoints.openai.api_server --model " in command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("demo", "--model", "demo-alibi"), "The model is given twice: demo and --model demo-alibi."),
        (("--resume", "--no-save"), "--no-save is for a new conversation; one that is resumed is kept already."),
        (("--resume",), "There is no conversation to resume."),
        (("--resume", "20261122-153012"), "There is no conversation 20261122-153012."),
        (("--vllm-version", "0.5.0"), "--vllm-version is for looking only."),
        (
            ("--url", "http://127.0.0.1:1/v1", "--explain"),
            "--explain and --dry-run are for an engine that bcli starts.",
        ),
        (
            ("--url", "http://127.0.0.1:1/v1", "--dtype", "float16"),
            "--dtype is for an engine that bcli starts; a server that runs already has its own settings.",
        ),
        (("nosuchmodel",), "There is no model 'nosuchmodel'."),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], message: str, bcli: Bcli) -> None:
    ran = bcli(*arguments, stdin="你好")
    assert ran.code in (ExitCode.USAGE, ExitCode.NOT_FOUND)
    assert ran.stderr.splitlines()[0] == f"error: {message}"


def test_an_empty_pipe_is_no_question(bcli: Bcli, server: FakeServer) -> None:
    ran = bcli("--url", server.url)
    assert ran.code == ExitCode.USAGE
    assert ran.stderr == "error: There is no prompt.\n  echo 你好 | bcli chat\n"


def test_a_model_that_the_server_does_not_have(bcli: Bcli, server: FakeServer) -> None:
    ran = bcli("--url", server.url, "gpt-5", stdin="你好")
    assert ran.code == ExitCode.NOT_FOUND
    assert ran.stderr == f"error: The server at {server.url} has no model gpt-5.\n  It serves: demo, other\n"
