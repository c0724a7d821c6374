"""The page as a web application."""

from __future__ import annotations

import os

import gradio as gr
from fastapi import FastAPI

from baichuan_cli.web.asgi import Application
from baichuan_cli.web.guard import Guard
from baichuan_cli.web.look import CSS, theme
from baichuan_cli.web.opening import Opening
from baichuan_cli.web.page import Page
from baichuan_cli.web.talk import Talk
from baichuan_cli.web.texts import LABELS


def application(talk: Talk, *, root_path: str = "", login: tuple[str, str] | None = None) -> Application:
    """Return the page's ASGI application.

    Args:
        talk: has looked which models there are.
        root_path: the path that the page has at a proxy, such as "/bcli".
        login: a user's name and password; None lets everybody in.
    """
    os.environ["GRADIO_RUN_HISTORY"] = "False"  # no copy of conversations in the browser's store
    label = gr.I18n(**{"en": dict(LABELS["en"]), "zh-CN": dict(LABELS["zh"])})
    gradio = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        Page(talk, label).blocks,
        path="/",
        auth=login,
        root_path=root_path or None,
        i18n=label,
        theme=theme(),
        css=CSS,
        footer_links=[],
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
    )
    return Guard(Opening(gradio), root_path)
