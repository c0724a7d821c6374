"""A conversation as the page holds it, and what of it the server is told.

The browser keeps the conversation and sends it along with every question, as a list of Gradio's messages; nothing is
kept here. A note is a message of the page itself, such as an error in the place of an answer: it has a title, which
neither a question nor an answer has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]  # role, content, metadata
History = Sequence[Message]


def user(text: str) -> Message:
    """Return a question."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    """Return an answer, or as much of it as is there."""
    return {"role": "assistant", "content": text}


def note(title: str, text: str) -> Message:
    """Return a remark of the page in the place of an answer."""
    return {"role": "assistant", "content": text, "metadata": {"title": title}}


def text_of(message: Message) -> str:
    """Return a message's text; Gradio hands it back as a list of parts."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type") == "text")


def rounds(history: History) -> list[tuple[str, str]]:
    """Return the questions that were answered, each with its answer; an answer may be one that was stopped."""
    answered = []
    question = None
    for message in history:
        if message["role"] == "user":
            question = text_of(message)
        elif question is not None and not _is_note(message):
            answered.append((question, text_of(message)))
            question = None
    return answered


def to_openai(answered: Sequence[tuple[str, str]], question: str, system: str) -> list[dict[str, str]]:
    """Return the messages for `/v1/chat/completions`: a system prompt, the rounds, the question."""
    messages = [{"role": "system", "content": system}] if system.strip() else []
    for asked, answer in answered:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": question}]


def without_last_round(history: History) -> tuple[History, str]:
    """Return what was before the last question, and that question; empty where there is none."""
    for index in reversed(range(len(history))):
        if history[index]["role"] == "user":
            return history[:index], text_of(history[index])
    return [], ""


def _is_note(message: Message) -> bool:
    return bool((message.get("metadata") or {}).get("title"))
