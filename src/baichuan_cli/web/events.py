"""What happens on the page's events: from Gradio's values to a question, and from what is shown to Gradio's updates.

Gradio gives a handler the request where it finds `gr.Request` in the signature.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr

from baichuan_cli.engine.client import ServerError
from baichuan_cli.web.controls import ranges_of, settings_of
from baichuan_cli.web.conversation import History, without_last_round
from baichuan_cli.web.problems import sentence
from baichuan_cli.web.sampling import Knobs
from baichuan_cli.web.talk import Question, Talk
from baichuan_cli.web.texts import Language, language

#: The conversation, the line under it, and the box.
Updates = tuple[Any, Any, Any]


class Events:
    """Handlers; `settings` is always the model, the system prompt and the knobs.

    Args:
        talk: asks the server.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    async def send(
        self, request: gr.Request, text: str, history: History, *settings: Any
    ) -> AsyncGenerator[Updates, None]:
        """Ask a question after a conversation; nothing is no question."""
        if not text.strip():
            return
        model, system, *knobs = settings
        question = Question(text, model, system, Knobs(*knobs))
        running = None
        async with aclosing(self._talk.answer(request.session_hash, history, question, _language(request))) as views:
            async for view in views:
                yield view.history, view.status, gr.skip() if view.running == running else _box(running=view.running)
                running = view.running

    def last_question(self, history: History) -> tuple[History, str]:
        """Return what was before the last question, and the question, to ask it again."""
        return without_last_round(history)

    def edited_question(self, history: History, edited: gr.EditData) -> tuple[History, str]:
        """Return what was before a question that was put into other words, and the question."""
        index = edited.index[0] if isinstance(edited.index, (list, tuple)) else edited.index
        return history[:index], edited.value

    def undo(self, request: gr.Request, history: History) -> Updates:
        """Take the last round back, its question into the box."""
        before, text = without_last_round(history)
        self._talk.tabs.drop(request.session_hash, instead=before)
        return before, "", _box(running=False, value=text)

    def clear(self, request: gr.Request) -> tuple[Any, Any]:
        """Begin anew; Gradio has emptied the conversation itself."""
        self._talk.tabs.drop(request.session_hash, instead=[])
        return "", _box(running=False)

    def stop(self, request: gr.Request) -> None:
        """End the answer under way."""
        self._talk.tabs.stop(request.session_hash)

    def leave(self, request: gr.Request) -> None:
        """Forget a tab that was closed."""
        self._talk.leave(request.session_hash)

    def settings_of(self, model: str) -> list[Any]:
        """Put the knobs where a model has them."""
        return settings_of(self._talk.model(model))

    def show_sliders(self, server_decides: bool) -> Any:
        """Hide the sliders while the server decides."""
        return gr.Column(visible=not server_decides)

    async def look(self, request: gr.Request, model: str) -> list[Any]:
        """Show which models the server has now; a model that it has no more gives way to its first."""
        try:
            await self._talk.look()
        except ServerError as error:
            return [gr.skip(), sentence(error, _language(request)), *ranges_of(self._talk.model(model))]
        names = [offered.name for offered in self._talk.models]
        knobs = ranges_of(self._talk.model(model)) if model in names else settings_of(self._talk.models[0])
        return [gr.Dropdown(choices=names, value=model if model in names else names[0]), "", *knobs]


def _box(*, running: bool, **more: Any) -> Any:
    return gr.Textbox(submit_btn=not running, stop_btn=running, **more)


def _language(request: gr.Request) -> Language:
    return language(request.headers.get("accept-language"))
