"""`bcli chat` as a person sees it: a real process on a terminal, talking to a server over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from baichuan_cli.chat.commands import NAMES
from baichuan_cli.errors import ExitCode
from fakes.openai_server import POEM, Behaviour, FakeServer, Fault, running_server
from fakes.screen import Screen, on_screen
from fakes.served import ServedVllm, no_process_left

BCLI = Path(sys.executable).with_name("bcli")
CTRL_C, CTRL_D, ALT_ENTER, TAB = "\x03", "\x04", "\x1b\r", "\t"

Start = Callable[..., AbstractContextManager[Screen]]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server(Behaviour(text=POEM[:12]), models=("demo", "other")) as server:
        yield server


@pytest.fixture
def chat(server: FakeServer) -> Start:
    @contextmanager
    def start(*options: str, **size: int) -> Iterator[Screen]:
        with on_screen([BCLI, "chat", "--url", server.url, *options], os.environ, **size) as screen:
            screen.wait_for(is_at_prompt)
            yield screen

    return start


def is_at_prompt(text: str) -> bool:
    return text.endswith((">", "> a message, or /help"))


def say(screen: Screen, line: str) -> str:
    """Type a line and Enter, and wait until the next one can be typed; return what came between."""
    before = screen.text().count(f"> {line}")
    screen.type(line)
    typed = screen.wait_for(lambda text: text.count(f"> {line}") > before)
    screen.type("\r")
    below = screen.wait_for(lambda text: text != typed and is_at_prompt(text))
    return below[below.rindex(f"> {line}") + len(line) + 2 :].removesuffix(">").strip("\n")


def without_numbers(text: str) -> str:
    return re.sub(r"\d+\.\d+", "0.0", text)


def test_a_whole_conversation_with_every_command(chat: Start, server: FakeServer, tmp_path: Path) -> None:
    server.behaviour = Behaviour(text=POEM[:12], token_seconds=0.005)
    saved = tmp_path / "talk.json"
    with chat("--temperature", "0.5", columns=120, lines=60) as screen:
        assert say(screen, "/stats") == (
            "error: There is no answer yet.\n  /stats on shows the figures after every answer."
        )
        assert say(screen, "你好") == POEM[:12]
        assert without_numbers(say(screen, "/stats")) == (
            "12 tokens in 0.0 s · first token 0.0 s · 0.0 tokens/s · prompt 2 tokens"
        )
        assert say(screen, "/system 你是诗人") == "system prompt: 你是诗人"
        assert say(screen, "/set top_k 5") == "top_k 5"
        assert say(screen, "/set temperature hot") == "error: /set: 'hot' is not a number from 0 to 2."
        assert say(screen, "/set temperature 0.3") == "temperature 0.3"
        assert say(screen, "/set") == "temperature  0.3  (/set)\ntop_k        5  (/set)"
        assert say(screen, "/set temperature default") == "temperature 0.5"
        assert say(screen, "/set ignore_eos on") == "ignore_eos true"
        assert say(screen, "/set") == (
            "temperature     0.5  (--temperature)\ntop_k           5  (/set)\n"
            "ignore_eos      true  (/set)\nstop_token_ids  none  (/set)"
        )
        assert say(screen, "/set ignore_eos default") == "ignore_eos is left to the server"
        assert say(screen, "/stats on") == "figures after every answer"
        assert without_numbers(say(screen, "再来")) == (
            f"{POEM[:12]}\n12 tokens in 0.0 s · first token 0.0 s · 0.0 tokens/s · prompt 20 tokens"
        )
        assert say(screen, "/stats off") == "no figures after the answers"
        assert say(screen, "/retry") == POEM[:12]
        assert say(screen, "/undo") == "taken back: 再来"
        assert say(screen, "/model") == "* demo\n  other"
        assert say(screen, "/model other") == f"other at {server.url} answers from now on"
        assert say(screen, "第三问") == POEM[:12]
        assert say(screen, f"/save {saved}").replace("\n", "") == f"2 rounds in {saved}"
        assert say(screen, "/show chat") == f"> 你好\n{POEM[:12]}\n> 第三问\n{POEM[:12]}"
        assert say(screen, "/hlep").startswith("error: There is no command /hlep.\n  Did you mean /help?")
        assert say(screen, "/multiline") == "Enter begins a line, Alt-Enter sends"
        assert say(screen, "/multiline off") == "Enter sends, Alt-Enter begins a line"
        assert say(screen, "/reset") == "a new conversation"
        assert "system  你是诗人\nrounds  0\n" in re.sub(r" {2,}", "  ", say(screen, "/show"))
        assert say(screen, "/undo") == "error: Nothing was asked yet.\n  Type a question."
        screen.type("/exit\r")
        assert screen.wait_for_exit() == 0
    asked = [request.body for request in server.requests]
    first = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": POEM[:12]}]
    system = {"role": "system", "content": "你是诗人"}
    assert [request["messages"] for request in asked] == [
        first[:1],
        [system, *first, {"role": "user", "content": "再来"}],
        [system, *first, {"role": "user", "content": "再来"}],
        [system, *first, {"role": "user", "content": "第三问"}],
    ]
    assert [(request["model"], request["temperature"], request.get("top_k")) for request in asked] == [
        ("demo", 0.5, None),
        ("demo", 0.5, 5),
        ("demo", 0.5, 5),
        ("other", 0.5, 5),
    ]
    assert json.loads(saved.read_text())["messages"] == [
        system,
        *first,
        {"role": "user", "content": "第三问"},
        {"role": "assistant", "content": POEM[:12]},
    ]


def test_help_names_every_command(chat: Start) -> None:
    with chat(lines=40) as screen:
        shown = say(screen, "/?")
    assert tuple(re.findall(r"^/(\w+)", shown, re.MULTILINE)) == NAMES


def test_ctrl_c_stops_the_answer_and_keeps_the_conversation(chat: Start, server: FakeServer) -> None:
    server.behaviour = Behaviour(text=POEM * 40, token_seconds=0.02)
    with chat() as screen:
        screen.type("你好\r")
        screen.wait_for(POEM)
        screen.type(CTRL_C)
        screen.wait_for(lambda text: "stopped" in text and is_at_prompt(text))
        assert server.requests[0].ended.wait(10)
        assert server.requests[0].disconnected
        assert server.requests[0].sent_tokens < len(POEM) * 40
        server.behaviour = Behaviour(text="好。")
        assert say(screen, "接着") == "好。"
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    _, partial, _ = server.requests[1].body["messages"]
    assert partial["role"] == "assistant"
    assert (POEM * 40).startswith(partial["content"])
    assert len(partial["content"]) >= len(POEM)


def test_ctrl_c_before_the_first_token_stops_too(chat: Start, server: FakeServer) -> None:
    server.behaviour = Behaviour(fault=Fault.HANG)
    with chat() as screen:
        screen.type("你好\r")
        screen.wait_for(lambda text: "…" in text and len(server.requests) == 1)
        screen.type(CTRL_C)
        screen.wait_for(lambda text: "stopped" in text and is_at_prompt(text))
        assert server.requests[0].ended.wait(10)
        server.behaviour = Behaviour(text="好。")
        assert say(screen, "/retry") == "好。"
    assert server.requests[1].body["messages"] == [{"role": "user", "content": "你好"}]


def test_ctrl_c_clears_the_line_and_twice_at_an_empty_one_leaves(chat: Start) -> None:
    with chat() as screen:
        screen.type("不要了")
        screen.wait_for("> 不要了")
        screen.type(CTRL_C)
        screen.wait_for("> 不要了\n>")
        screen.type(CTRL_C)
        screen.wait_for("Ctrl-C again leaves\n>")
        assert say(screen, "还在") == POEM[:12]
        screen.type(CTRL_C)
        screen.wait_for(lambda text: text.count("Ctrl-C again leaves\n>") == 2)
        screen.type(CTRL_C)
        assert screen.wait_for_exit() == 0
        assert re.search(r"^kept: bcli chat --resume \d{8}-\d{6}$", screen.text(), re.MULTILINE)


def test_several_lines(chat: Start, server: FakeServer) -> None:
    with chat() as screen:
        screen.type("第一行", ALT_ENTER, "第二行")
        screen.wait_for("> 第一行\n  第二行")
        screen.type("\r")
        screen.wait_for(lambda text: POEM[:12] in text and is_at_prompt(text))
        screen.type('"""一\r二\r"""\r')
        screen.wait_for(lambda text: text.count(POEM[:12]) == 2 and is_at_prompt(text))
        screen.type("\x1b[200~/粘贴一\r\n粘贴二\n\t三\x1b[201~")
        screen.wait_for("粘贴二")
        assert len(server.requests) == 2  # a paste is not sent by itself
        screen.type("\r")
        screen.wait_for(lambda text: text.count(POEM[:12]) == 3 and is_at_prompt(text))
        assert say(screen, "/multiline on") == "Enter begins a line, Alt-Enter sends"
        screen.type("三\r四", ALT_ENTER)
        screen.wait_for(lambda text: text.count(POEM[:12]) == 4 and is_at_prompt(text))
    questions = [request.body["messages"][-1]["content"] for request in server.requests]
    assert questions == ["第一行\n第二行", "一\n二", "/粘贴一\n粘贴二\n\t三", "三\n四"]


def test_edit_puts_the_last_question_on_the_line(chat: Start, server: FakeServer) -> None:
    with chat() as screen:
        say(screen, "春眠不觉小")
        screen.type("/edit\r")
        screen.wait_for(lambda text: text.endswith("> 春眠不觉小"))
        screen.type("\x7f晓\r")
        screen.wait_for(lambda text: text.count(POEM[:12]) == 2 and is_at_prompt(text))
        screen.type("/edit\r")
        screen.wait_for(lambda text: text.count("> 春眠不觉晓") == 2)
        screen.type(CTRL_C)  # leaves it as it was
        screen.wait_for(is_at_prompt)
        assert say(screen, "/show chat") == f"> 春眠不觉晓\n{POEM[:12]}"
    assert [len(request.body["messages"]) for request in server.requests] == [1, 1]


def offered(text: str) -> list[str]:
    """Return what the menu below the line offers."""
    return re.findall(r"^ +(\S+)", text, re.MULTILINE)


def test_tab_completes_commands_and_what_follows_them(chat: Start) -> None:
    with chat() as screen:
        for typed, whole in (("/mul", "/multiline"), ("/set temp", "/set temperature"), ("/model o", "/model other")):
            screen.type(typed)
            screen.wait_for(lambda text, whole=whole: offered(text) == [whole.split()[-1]])
            screen.type(TAB)
            screen.wait_for(f"> {whole}")
            screen.type(CTRL_C)


def test_history_goes_from_one_conversation_to_the_next(chat: Start, isolation: Path) -> None:
    with chat() as screen:
        say(screen, "《静夜思》")
        screen.type(CTRL_D)
        screen.wait_for_exit()
    assert (isolation / "state" / "chat-history").stat().st_mode & 0o777 == 0o600
    with chat() as screen:
        screen.type("\x1b[A")
        screen.wait_for("> 《静夜思》")


def test_a_line_of_chinese_is_edited_by_whole_characters(chat: Start, server: FakeServer) -> None:
    line = "床前明月光疑是地上霜举头望明月低头思故乡床前明月光疑是地上霜"  # wider than the terminal
    with chat(columns=40) as screen:
        screen.type(line)
        screen.wait_for("> 床前明月光疑是地上霜举头望明月低头思故\n  乡床前明月光疑是地上霜")
        screen.type("\x1b[D\x1b[D\x7f", "\r")  # two to the left, and delete 地
        screen.wait_for(lambda text: POEM[:12] in text and is_at_prompt(text))
    assert server.requests[0].body["messages"][-1]["content"] == line[:-3] + line[-2:]


def test_a_resize_in_mid_answer_loses_nothing(chat: Start, server: FakeServer) -> None:
    answer = "".join(chr(0x4E00 + number) for number in range(400))
    go_on = threading.Event()
    server.behaviour = Behaviour(text=answer, token_seconds=0.01, go_on=go_on, held_from=60)
    with chat(columns=60) as screen:
        screen.type("你好\r")
        screen.wait_for(answer[30])
        screen.resize(30, 24)
        go_on.set()
        screen.wait_for(answer[200])
        screen.resize(100, 30)
        screen.wait_for(lambda text: answer[-1] in text and is_at_prompt(text))
        # Rows that were there before the terminal became narrower are cut by this emulator; all later ones are whole.
        rows = screen.text().removesuffix(">").split()
        assert "".join(rows).endswith(answer[-200:])
        assert say(screen, "/show chat").replace("\n", "").endswith(answer)


def test_markdown_is_laid_out_and_code_can_be_copied(chat: Start, server: FakeServer) -> None:
    server.behaviour = Behaviour(
        text="## 例子\n\n一段**重点：**文字\n\n```python\nfor i in range(3):\n    print(i)\n```\n\n"
        "| 名 | 数 |\n|:--|--:|\n| 苹果 | 3 |\n| 梨 | 12 |\n\n- 完\n"
    )
    with chat() as screen:
        assert say(screen, "例子") == (
            "例子\n\n一段重点：文字\n\n```python\nfor i in range(3):\n    print(i)\n```\n\n"
            "名     数\n─────────\n苹果    3\n梨     12\n\n• 完"
        )
        raw = b"".join(screen.terminal.pieces).decode()
    assert "\x1b[1m重" in raw


def test_control_characters_of_an_answer_do_not_reach_the_terminal(chat: Start, server: FakeServer) -> None:
    server.behaviour = Behaviour(text="一\x1b[2J\x1b]0;标题\x07二\x9b3J")
    with chat() as screen:
        assert say(screen, "你好") == "一[2J]0;标题二3J"


def test_what_is_typed_during_an_answer_is_not_mixed_into_it(chat: Start, server: FakeServer) -> None:
    server.behaviour = Behaviour(text=POEM * 4, token_seconds=0.01)
    with chat(columns=120) as screen:
        screen.type("你好\r")
        screen.wait_for(POEM[:6])
        screen.type("早打的字")
        screen.wait_for(lambda text: f"> 你好\n{POEM[:48]}" in text and text.endswith("> 早打的字"))


def test_the_conversation_survives_kill_9(chat: Start, server: FakeServer, isolation: Path) -> None:
    server.behaviour = Behaviour(text=POEM * 20, token_seconds=0.05)
    with chat("--system", "诗") as screen:
        server.behaviour = Behaviour(text="第一答")
        say(screen, "第一问")
        server.behaviour = Behaviour(text=POEM * 20, token_seconds=0.05)
        screen.type("第二问\r")
        screen.wait_for(POEM)  # more than a second of it
        screen.terminal.process.send_signal(signal.SIGKILL)
        screen.terminal.process.wait()
    [path] = (isolation / "data" / "chats").iterdir()
    server.behaviour = Behaviour(text="第三答")
    with chat("--resume") as screen:
        screen.wait_for("that answer is not whole: /retry asks again")
        assert f"{path.stem} · 2 rounds, the last of them:\n> 第二问\n床前" in screen.text()
        assert say(screen, "/retry") == "第三答"
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
        assert f"kept: bcli chat --resume {path.stem}" in screen.text()
    assert server.requests[-1].body["messages"] == [
        {"role": "system", "content": "诗"},
        {"role": "user", "content": "第一问"},
        {"role": "assistant", "content": "第一答"},
        {"role": "user", "content": "第二问"},
    ]


def test_past_conversations_can_be_listed_and_loaded_from_within(chat: Start, isolation: Path, tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    with chat(columns=120) as screen:
        say(screen, "第一次谈话")
        say(screen, f"/save {saved}")
        say(screen, "/reset")
        say(screen, "第二次谈话")
        first, _ = sorted((isolation / "data" / "chats").iterdir(), key=lambda path: path.stem)
        listed = say(screen, "/load")
        assert re.fullmatch(
            rf"name +last used +model +rounds +first question\n{first.stem} +[-\d]+ [\d:]+ +demo +1 +第一次谈话",
            listed,
        )
        assert say(screen, f"/load {first.stem}") == (
            f"{first.stem} · 1 round, the last of them:\n> 第一次谈话\n{POEM[:12]}"
        )
        assert say(screen, f"/load {first.stem}") == f"error: {first.stem} is this conversation."
        assert say(screen, f"/load {saved}").endswith(f"1 round, the last of them:\n> 第一次谈话\n{POEM[:12]}")
        assert len(list((isolation / "data" / "chats").iterdir())) == 3
        assert say(screen, "/load nothing.json").startswith("error: There is no such file: nothing.json.")


def test_a_server_that_dies_in_mid_answer_is_told_and_the_conversation_goes_on(
    chat: Start, server: FakeServer
) -> None:
    server.behaviour = Behaviour(tokens=24, fault=Fault.CUT, fault_after=6)
    with chat(columns=100) as screen:
        assert say(screen, "你好") == (
            f"{POEM[:6]}\nerror: The server at {server.url} broke off in mid-answer.\n"
            "  It may have crashed: look at its log.\nThe conversation is kept. /retry asks again."
        )
        server.behaviour = Behaviour(text="好。")
        assert say(screen, "/retry") == "好。"
        assert say(screen, "/show chat") == "> 你好\n好。"


def test_a_full_context_loses_its_oldest_rounds_and_says_so(chat: Start, server: FakeServer) -> None:
    server.max_model_len = 30  # characters here, as the fake server counts them
    with chat(columns=100) as screen:
        assert say(screen, "第一个问题") == POEM[:12]
        assert say(screen, "第二个问题") == POEM[:12]
        told = "the context is full: the oldest {} left out of what the model is given\n"
        assert say(screen, "第三个问题") == told.format("round is") + POEM[:12]
        assert say(screen, "第四个问题") == told.format("2 rounds are") + POEM[:12]
        assert say(screen, "太长" * 20).startswith(f"error: The server at {server.url} refused the request (400): ")
    sizes = [len(request.body["messages"]) for request in server.requests]
    assert sizes == [1, 3, 5, 3, 5, 3, 5, 3, 1]


def test_ctrl_c_while_the_engine_starts_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, isolation: Path
) -> None:
    vllm = ServedVllm(monkeypatch, isolation / "seen.json")
    vllm.behave(hang=True, log=["Loading safetensors checkpoint shards:  50% Completed | 1/2"])
    with on_screen([BCLI, "chat", "demo"], os.environ) as screen:
        screen.wait_for("starting the engine … loading weights 50 %")
        screen.type(CTRL_C)
        assert screen.wait_for_exit() == ExitCode.INTERRUPTED
        assert screen.text().splitlines()[-1] == "error: Stopped."
    no_process_left(vllm.seen["pids"])
    assert not (isolation / "data").exists()


def test_kill_9_leaves_no_engine_behind(monkeypatch: pytest.MonkeyPatch, isolation: Path) -> None:
    vllm = ServedVllm(monkeypatch, isolation / "seen.json")
    with on_screen([BCLI, "chat", "demo"], os.environ) as screen:
        screen.wait_for("> a message, or /help")
        screen.terminal.process.kill()
        screen.terminal.process.wait()
    no_process_left(vllm.seen["pids"])


def test_an_engine_that_does_not_start_is_told_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, isolation: Path
) -> None:
    ServedVllm(monkeypatch, isolation / "seen.json").behave(
        exit=1, log=["ValueError: No available memory for the cache blocks."]
    )
    with on_screen([BCLI, "chat", "demo"], os.environ) as screen:
        assert screen.wait_for_exit() == ExitCode.ENGINE
        assert "error: vLLM failed: No room for the KV cache beside the weights.\n" in screen.text()
        assert "starting the engine" not in screen.text()


def test_an_engine_that_died_meanwhile_is_started_again(monkeypatch: pytest.MonkeyPatch, isolation: Path) -> None:
    vllm = ServedVllm(monkeypatch, isolation / "seen.json")
    with on_screen([BCLI, "chat", "demo"], os.environ, columns=120) as screen:
        screen.wait_for("> a message, or /help")
        first = vllm.seen["pids"]
        os.kill(first[0], signal.SIGKILL)
        no_process_left(first)
        screen.type("你好\r")
        screen.wait_for("warning: vLLM failed: its server was killed.")
        screen.wait_for("  It is started again.")
        screen.wait_for(lambda text: text.count("engine ready in") == 2)
        assert vllm.seen["pids"] != first
