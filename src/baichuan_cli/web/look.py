"""How the page looks: Gradio's plain theme in quiet colours, the system's own fonts, one column."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_SANS = ("system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono CJK SC", "monospace")

CSS = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def theme() -> gr.Theme:
    """Return the theme; none of its fonts is fetched from anywhere."""
    return gr.themes.Base(
        primary_hue="blue", secondary_hue="slate", neutral_hue="zinc", radius_size="lg", font=_SANS, font_mono=_MONO
    ).set(
        body_background_fill="white",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        body_background_fill_dark="*neutral_900",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_border_width="0px",
        block_shadow="none",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
        input_border_width="1px",
        color_accent_soft="*neutral_100",
        color_accent_soft_dark="*neutral_800",
    )
