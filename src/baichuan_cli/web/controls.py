"""The settings beside the conversation: the system prompt and the knobs of sampling."""

from __future__ import annotations

from typing import Any

import gradio as gr

from baichuan_cli.web.sampling import VLLM_ONLY, Offered


class Controls:
    """Components, placed where this is constructed.

    Args:
        label: gives a translated label by its name.
        model: the model whose settings are shown first.
    """

    def __init__(self, label: gr.I18n, model: Offered) -> None:
        self.system = gr.Textbox(label=label("system"), info=label("system_info"), lines=3, max_lines=12)
        decides, *sliders = _states(model)
        self.server_decides = gr.Checkbox(label=label("server_decides"), info=label("server_decides_info"), **decides)
        with gr.Column(visible=not model.knobs.server_decides) as self.sliders:
            self._sliders = [
                gr.Slider(label=label(name), info=label(f"{name}_info"), **state)
                for name, state in zip(model.knobs._fields[1:], sliders, strict=True)
            ]
        self.reset = gr.Button(label("reset"), size="sm")

    @property
    def knobs(self) -> list[Any]:
        """Return the components that hold a model's `Knobs`, in their order."""
        return [self.server_decides, *self._sliders]


def settings_of(model: Offered) -> list[Any]:
    """Return updates that put the knobs where a model has them."""
    decides, *sliders = _states(model)
    return [gr.Checkbox(**decides), *(gr.Slider(**state) for state in sliders)]


def ranges_of(model: Offered) -> list[Any]:
    """Return updates that leave the knobs where they are, within what a model can do."""
    _, *sliders = _states(model)
    for state in sliders:
        del state["value"]
    return [gr.skip(), *(gr.Slider(**state) for state in sliders)]


def _states(model: Offered) -> list[dict[str, Any]]:
    """Return the properties of the knobs, in the order of `Knobs`."""
    knobs = model.knobs
    ranges = {
        "temperature": (0, 2, 0.05),
        "top_p": (0.01, 1, 0.01),
        "top_k": (0, max(100, knobs.top_k), 1),
        "repetition_penalty": (0.8, 2, 0.01),
        "max_tokens": (1, model.longest, 1),
    }
    states: list[dict[str, Any]] = [{"value": knobs.server_decides}]
    for name, (low, high, step) in ranges.items():
        states.append(
            {
                "minimum": low,
                "maximum": high,
                "step": step,
                "value": getattr(knobs, name),
                "visible": model.vllm or name not in VLLM_ONLY,
            }
        )
    return states
