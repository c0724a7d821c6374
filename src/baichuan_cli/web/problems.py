"""What the page says in the place of an answer, in plain words and in its own language."""

from __future__ import annotations

from collections.abc import Mapping

from baichuan_cli.engine.client import ServerError
from baichuan_cli.web.conversation import Message, note
from baichuan_cli.web.texts import Language

#: By kind: what went wrong, and what to do about it.
_WORDS: Mapping[Language, Mapping[str, tuple[str, str]]] = {
    "en": {
        "silent": ("The server does not answer.", "Check that it still runs, then try again."),
        "broken": ("The answer broke off.", "The server may have stopped. Try again, and look at its log."),
        "key": ("The server does not accept this page's key.", "Start the page again with the server's API key."),
        "missing": ("The server does not have this model.", "Reload the page to see which models it has now."),
        "busy": ("The server has too much to do.", "Try again in a moment."),
        "unready": ("The server is not ready.", "It may still be loading. Try again in a minute."),
        "failed": ("The server failed.", "Try again, and look at its log."),
        "refused": ("The server refuses this question.", "Change the settings or the question, then try again."),
        "too_long": ("This question is too long.", "Shorten it or the system prompt, or lower the longest answer."),
        "empty": ("The answer is empty.", "The model ended it at once."),
        "stopped": ("Stopped before the answer began.", "Try again, or ask something else."),
    },
    "zh": {
        "silent": ("服务端没有响应。", "请确认它仍在运行，然后重试。"),
        "broken": ("回答中断了。", "服务端可能已停止运行。请重试，并查看它的日志。"),
        "key": ("服务端不接受本页面的密钥。", "请用服务端的 API key 重新启动本页面。"),
        "missing": ("服务端没有这个模型。", "刷新页面，查看它现在有哪些模型。"),
        "busy": ("服务端太忙了。", "请稍后再试。"),
        "unready": ("服务端还没有就绪。", "它可能仍在加载模型，请过一分钟再试。"),
        "failed": ("服务端出错了。", "请重试，并查看它的日志。"),
        "refused": ("服务端拒绝了这个问题。", "请修改设置或问题后重试。"),
        "too_long": ("这个问题太长了。", "请缩短问题或系统提示词，或调低回答长度上限。"),
        "empty": ("回答是空的。", "模型一开始就结束了回答。"),
        "stopped": ("回答开始之前就停止了。", "可以重试，或换一个问题。"),
    },
}


def problem(error: ServerError, language: Language, *, begun: bool) -> Message:
    """Return the note for an error of the server, with the server's own words where it said any.

    Args:
        error: as the client raises it.
        language: the page's.
        begun: whether some of the answer was there already.
    """
    return remark(_kind(error, begun=begun), language, details=error.reason)


def sentence(error: ServerError, language: Language) -> str:
    """Return what to say about an error of the server where nothing was asked."""
    return " ".join(_WORDS[language][_kind(error, begun=False)])


def remark(kind: str, language: Language, *, details: str = "") -> Message:
    """Return a note of the page."""
    title, advice = _WORDS[language][kind]
    return note(title, f"{advice}\n\n> {details}" if details else advice)


def _kind(error: ServerError, *, begun: bool) -> str:
    match error.status:
        case None:
            return "broken" if begun else "silent"
        case 401 | 403:
            return "key"
        case 404:
            return "missing"
        case 429:
            return "busy"
        case 502 | 503 | 504:
            return "unready"
        case status if status >= 500:
            return "failed"
        case _:
            return "too_long" if error.too_long else "refused"
