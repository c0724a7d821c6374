"""The model's sampling defaults in a server that has no place for them (vLLM before 0.6.6).

There a chat is sampled at temperature 0.7 and a completion at 1.0, whatever the model's makers recommend, and nothing
but `</s>` ends an answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, create_model, model_validator

#: Names in a `generation_config.json`, and what they are called in a request. Not `max_new_tokens`: a request that
#: does not fit the context beside a default would be refused for it.
_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "eos_token_id": "stop_token_ids",
}

#: The classes in vLLM's `protocol` module that describe a request.
_REQUESTS = ("ChatCompletionRequest", "CompletionRequest")


def use_request_defaults(protocol: Any, folder: Path) -> None:
    """Make requests say what a folder's `generation_config.json` says where they say nothing.

    Args:
        protocol: vLLM's module `vllm.entrypoints.openai.protocol`, before anything has been imported from it.
        folder: as `--generation-config` of later releases takes it.
    """
    config = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    defaults = {theirs: config[ours] for ours, theirs in _NAMES.items() if ours in config}
    for name in _REQUESTS:
        setattr(protocol, name, with_defaults(getattr(protocol, name), defaults))


def with_defaults(request: type[BaseModel], defaults: dict[str, Any]) -> type[BaseModel]:
    """Return a class of requests like another, with other defaults.

    A request that shall run past the end has no stop tokens; beam search takes no sampling at all.
    """

    def fill(cls: type[BaseModel], body: Any) -> Any:
        if not isinstance(body, dict) or body.get("use_beam_search"):
            return body  # what is no request pydantic refuses in its own words
        left_out = {"stop_token_ids"} if body.get("ignore_eos") else set()
        return {name: value for name, value in defaults.items() if name not in left_out} | body

    before: Any = model_validator(mode="before")
    validators: dict[str, Any] = {"fill": before(classmethod(fill))}
    return create_model(request.__name__, __base__=request, __doc__=request.__doc__, __validators__=validators)
