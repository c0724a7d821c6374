"""The line under an answer, and what stands in the place of one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from baichuan_cli.engine.server_error import ServerError, refusal
from baichuan_cli.engine.stream import Finish, Usage
from baichuan_cli.web.answer import Answer
from baichuan_cli.web.problems import problem, sentence
from baichuan_cli.web.texts import LABELS, language
from baichuan_cli.web.words import statistics


def answered(status: int, body: bytes) -> ServerError:
    """Return the client's error for an answer of a server."""
    return refusal("http://host/v1", status, body, {})


WHOLE = Answer("…", 0.25, 1.25, Finish("stop", Usage(1000, 201, None), 1.25))


def test_the_line_under_an_answer() -> None:
    assert statistics(WHOLE, "en") == "201 tokens in 1.2 s · first after 0.25 s · 200 tokens/s"
    assert statistics(replace(WHOLE, left_out=1), "en", context=4096) == (
        "201 tokens in 1.2 s · first after 0.25 s · 200 tokens/s · 1,201 of 4,096 tokens of context used"
        " · the first round no longer fits and was left out"
    )
    assert statistics(replace(WHOLE, left_out=3), "zh", context=4096) == (
        "201 个 token，1.2 秒 · 首 token 0.25 秒 · 200 token/秒 · 上下文已用 1,201 / 4,096 个 token"
        " · 最早 3 轮对话已放不下，未发送"
    )


def test_what_the_server_did_not_tell_is_left_out() -> None:
    assert statistics(Answer("half", 0.5, 2.0, stopped=True), "en") == "stopped · 2.0 s · first after 0.50 s"
    assert statistics(Answer("", None, 2.0, stopped=True), "zh") == "已停止 · 2.0 秒"
    one = Answer("字", 0.5, 0.5, Finish("length", Usage(3, 1, None), 0.5))
    assert statistics(one, "en") == "1 token in 0.5 s · first after 0.50 s · cut off at the longest answer"


def test_the_language_is_the_browsers_first() -> None:
    assert [language(accepted) for accepted in ("zh-CN,zh;q=0.9,en;q=0.8", "zh", "ZH-tw", " zh-HK")] == ["zh"] * 4
    assert [language(accepted) for accepted in ("en-US,en;q=0.9,zh;q=0.8", "de", "", None)] == ["en"] * 4


def test_both_languages_say_everything() -> None:
    ours = [{name for name in labels if "." not in name} for labels in LABELS.values()]
    assert ours[0] == ours[1]


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (ServerError("Nothing answers at …"), "The server does not answer."),
        (answered(401, b""), "The server does not accept this page's key."),
        (answered(404, b""), "The server does not have this model."),
        (answered(429, b""), "The server has too much to do."),
        (answered(503, b""), "The server is not ready."),
        (answered(500, b""), "The server failed."),
        (answered(400, b""), "The server refuses this question."),
        (answered(400, b"This model's maximum context length is 4096 tokens."), "This question is too long."),
        (answered(400, b"the request exceeds the available context size"), "This question is too long."),
        (answered(302, b""), "The server refuses this question."),
    ],
)
def test_every_error_has_a_title(error: ServerError, title: str) -> None:
    said = problem(error, "en", begun=False)
    assert said["metadata"] == {"title": title}
    assert problem(error, "zh", begun=False)["metadata"]["title"].endswith("。")


def test_the_servers_own_words_are_quoted() -> None:
    error = answered(400, b'{"error": {"message": "temperature must be at most 2"}}')
    advice = "Change the settings or the question, then try again."
    assert problem(error, "en", begun=False)["content"] == f"{advice}\n\n> temperature must be at most 2"
    assert sentence(error, "zh") == "服务端拒绝了这个问题。 请修改设置或问题后重试。"
    broken = problem(ServerError("…"), "en", begun=True)
    assert broken["metadata"] == {"title": "The answer broke off."}
