"""A conversation as Gradio holds it, and what the server is told of it."""

from __future__ import annotations

from baichuan_cli.web.conversation import assistant, note, rounds, text_of, to_openai, user, without_last_round


def from_gradio(role: str, text: str, title: str | None = None) -> dict[str, object]:
    """Return a message as Gradio hands it back."""
    parts = [{"text": text, "type": "text"}]
    return {"role": role, "content": parts, "metadata": title and {"title": title}, "options": None}


def test_the_text_of_a_message_in_both_shapes() -> None:
    assert text_of(user("你好")) == text_of(from_gradio("user", "你好")) == "你好"


def test_only_answered_questions_are_rounds() -> None:
    history = [
        from_gradio("user", "一"),
        from_gradio("assistant", "壹"),
        from_gradio("user", "failed"),
        from_gradio("assistant", "Check it.", "The server does not answer."),
        user("broken"),
        assistant("hal"),
        note("The answer broke off.", "Try again."),
        user("open"),
    ]
    assert rounds(history) == [("一", "壹"), ("broken", "hal")]


def test_what_the_server_is_told() -> None:
    question = {"role": "user", "content": "二"}
    before = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "壹"}]
    assert to_openai([("一", "壹")], "二", "") == [*before, question]
    assert to_openai([("一", "壹")], "二", " \n") == [*before, question]
    assert to_openai([], "二", "你是诗人。") == [{"role": "system", "content": "你是诗人。"}, question]


def test_the_last_round_is_taken_back() -> None:
    first = [user("一"), assistant("壹")]
    assert without_last_round([*first, user("二"), assistant("贰"), note("!", "!")]) == (first, "二")
    assert without_last_round([*first, user("二")]) == (first, "二")
    assert without_last_round([]) == ([], "")
