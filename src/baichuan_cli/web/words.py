"""Sentences that are made while an answer runs, in the page's language."""

from __future__ import annotations

from collections.abc import Mapping

from baichuan_cli.chat.figures import Figures
from baichuan_cli.web.answer import Answer
from baichuan_cli.web.texts import Language

_SENTENCES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "counted_one": "1 token in {seconds:.1f} s",
        "counted": "{tokens:,} tokens in {seconds:.1f} s",
        "timed": "{seconds:.1f} s",
        "first": "first after {seconds:.2f} s",
        "rate": "{rate:,.0f} tokens/s",
        "context": "{used:,} of {context:,} tokens of context used",
        "length": "cut off at the longest answer",
        "stopped": "stopped",
        "left_out_one": "the first round no longer fits and was left out",
        "left_out": "the first {rounds} rounds no longer fit and were left out",
        "waiting": "waiting for the first token …",
    },
    "zh": {
        "counted_one": "1 个 token，{seconds:.1f} 秒",
        "counted": "{tokens:,} 个 token，{seconds:.1f} 秒",
        "timed": "{seconds:.1f} 秒",
        "first": "首 token {seconds:.2f} 秒",
        "rate": "{rate:,.0f} token/秒",
        "context": "上下文已用 {used:,} / {context:,} 个 token",
        "length": "已达回答长度上限",
        "stopped": "已停止",
        "left_out_one": "最早 1 轮对话已放不下，未发送",
        "left_out": "最早 {rounds} 轮对话已放不下，未发送",
        "waiting": "等待首个 token …",
    },
}


def say(language: Language, name: str, **values: float) -> str:
    """Return one sentence."""
    return _SENTENCES[language][name].format(**values)


def statistics(answer: Answer, language: Language, *, context: int | None = None) -> str:
    """Return one line about an answer; what the server did not tell is left out.

    Args:
        answer: at its end.
        language: the page's.
        context: tokens that a prompt and its answer can have together.
    """
    usage = answer.finish.usage if answer.finish else None
    parts = [say(language, "stopped")] if answer.stopped else []
    if usage:
        tokens = usage.completion_tokens
        parts.append(say(language, _number("counted", tokens), tokens=tokens, seconds=answer.seconds))
    else:
        parts.append(say(language, "timed", seconds=answer.seconds))
    if answer.first_seconds is not None:
        parts.append(say(language, "first", seconds=answer.first_seconds))
    if rate := Figures(usage, answer.first_seconds, answer.seconds).tokens_per_second:
        parts.append(say(language, "rate", rate=rate))
    if usage and context:
        used = usage.prompt_tokens + usage.completion_tokens
        parts.append(say(language, "context", used=used, context=context))
    if answer.finish and answer.finish.reason == "length":
        parts.append(say(language, "length"))
    if answer.left_out:
        parts.append(say(language, _number("left_out", answer.left_out), rounds=answer.left_out))
    return " · ".join(parts)


def _number(name: str, count: int) -> str:
    return f"{name}_one" if count == 1 else name
