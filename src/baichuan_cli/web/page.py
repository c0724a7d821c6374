"""The page: what stands where, and which event calls what."""

from __future__ import annotations

from typing import Any

import gradio as gr

from baichuan_cli.web.controls import Controls
from baichuan_cli.web.events import Events
from baichuan_cli.web.talk import Talk

#: A tab keeps its conversation and settings over a reload; the browser forgets them when the tab is closed.
_KEEP = """(...values) => {
  if (!window.bcliReady) return;
  try {
    sessionStorage.setItem('bcli', JSON.stringify(values));
  } catch {
    sessionStorage.removeItem('bcli');  // longer than the browser keeps
  }
}"""
_BRING_BACK = """(...values) => {
  window.bcliReady = true;
  const kept = JSON.parse(sessionStorage.getItem('bcli') ?? 'null');
  return kept?.length === values.length ? kept : values;
}"""

#: The box is emptied in the browser, at once; while an answer is under way, what was typed stays in it.
_TAKE = "(text) => document.querySelector('#box .stop-button') ? ['', text] : [text, '']"

_EVENT: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_AT_ONCE: dict[str, Any] = {**_EVENT, "queue": False}


class Page:
    """The page about one server.

    Args:
        talk: has looked which models there are.
        label: gives a translated label by its name.
    """

    def __init__(self, talk: Talk, label: gr.I18n) -> None:
        with gr.Blocks(title="bcli", fill_height=True, analytics_enabled=False) as self.blocks:
            self._lay_out(talk, label)
            self._connect(Events(talk))
        self.blocks.queue(default_concurrency_limit=None)  # the server decides how many answers run at once

    def _lay_out(self, talk: Talk, label: gr.I18n) -> None:
        self._model = gr.Dropdown(
            [model.name for model in talk.models],
            value=talk.models[0].name,
            label=label("model"),
            show_label=False,
            container=False,
            filterable=False,
            elem_id="model",
        )
        with gr.Sidebar(position="right", open=False, width=360):
            self._controls = Controls(label, talk.models[0])
        self._chat = gr.Chatbot(
            label=label("conversation"),
            show_label=False,
            container=False,
            scale=1,
            height="100%",
            editable="user",
            buttons=["copy"],
            feedback_options=None,
            placeholder=label("empty"),
            elem_id="chat",
        )
        self._status = gr.Markdown(container=False, elem_id="status")
        self._box = gr.Textbox(
            label=label("ask"),
            show_label=False,
            container=False,
            placeholder=label("ask"),
            max_lines=10,
            autofocus=True,
            submit_btn=True,
            elem_id="box",
        )

        self._question = gr.Textbox(visible=False)
        self._model_before = gr.Textbox(visible=False)  # the list may not have it any more, or not yet

    def _connect(self, events: Events) -> None:
        chat, controls = self._chat, self._controls
        settings = [self._model, controls.system, *controls.knobs]
        shown = [chat, self._status, self._box]
        for asked in (
            self._box.submit(None, self._box, [self._question, self._box], js=_TAKE, **_AT_ONCE),
            chat.retry(events.last_question, chat, [chat, self._question], **_AT_ONCE),
            chat.edit(events.edited_question, chat, [chat, self._question], **_AT_ONCE),
        ):
            asked.then(events.send, [self._question, chat, *settings], shown, **_EVENT)
        self._box.stop(events.stop, **_AT_ONCE)
        chat.undo(events.undo, chat, shown, **_AT_ONCE)
        chat.clear(events.clear, None, shown[1:], **_AT_ONCE)
        self.blocks.unload(events.leave)

        gr.on([self._model.input, controls.reset.click], events.settings_of, self._model, controls.knobs, **_AT_ONCE)
        controls.server_decides.change(events.show_sliders, controls.server_decides, controls.sliders, **_AT_ONCE)

        kept = [chat, *settings]
        gr.on([component.change for component in kept], None, kept, js=_KEEP, **_AT_ONCE)
        brought_back = [chat, self._model_before, *settings[1:]]
        opened = self.blocks.load(None, kept, brought_back, js=_BRING_BACK, **_AT_ONCE)
        opened.then(events.look, self._model_before, [self._model, self._status, *controls.knobs], **_EVENT)
