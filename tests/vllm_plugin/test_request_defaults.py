"""What a request says where it says nothing, on a server that knows no `--generation-config`."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import BaseModel, ValidationError

from baichuan_cli.vllm_plugin.request_defaults import use_request_defaults, with_defaults

DEFAULTS = {"temperature": 0.3, "stop_token_ids": [2, 195, 196]}


class CompletionRequest(BaseModel, extra="forbid"):
    """A request in the manner of vLLM's."""

    model: str
    temperature: float = 1.0
    max_tokens: int | None = 16
    ignore_eos: bool = False
    use_beam_search: bool = False
    stop_token_ids: list[int] = []


class ChatCompletionRequest(CompletionRequest):
    temperature: float = 0.7


def test_what_a_request_says_counts() -> None:
    request = with_defaults(CompletionRequest, DEFAULTS)
    assert request.__name__ == "CompletionRequest"  # the server's own documentation of its API shows it
    assert request.model_validate({"model": "m"}).model_dump(include={"temperature", "stop_token_ids"}) == DEFAULTS
    said = request.model_validate({"model": "m", "temperature": 0, "stop_token_ids": []})
    assert said.model_dump(include={"temperature", "stop_token_ids"}) == {"temperature": 0, "stop_token_ids": []}


def test_nothing_stops_a_request_that_ignores_the_end() -> None:
    request = with_defaults(CompletionRequest, DEFAULTS).model_validate({"model": "m", "ignore_eos": True})
    assert request.model_dump(include={"temperature", "stop_token_ids"}) == {"temperature": 0.3, "stop_token_ids": []}


def test_beam_search_is_left_alone() -> None:
    body = {"model": "m", "use_beam_search": True, "temperature": 0}
    request = with_defaults(CompletionRequest, {**DEFAULTS, "top_k": 5})
    assert request.model_validate(body).model_dump(exclude_unset=True) == body


def test_what_is_no_request_stays_an_error() -> None:
    request = with_defaults(CompletionRequest, DEFAULTS)
    with pytest.raises(ValidationError, match="Field required"):
        request.model_validate({})
    with pytest.raises(ValidationError, match="CompletionRequest"):
        request.model_validate([1])


def test_both_kinds_of_request_get_what_the_file_says_but_for_the_length(tmp_path: Path) -> None:
    protocol = SimpleNamespace(ChatCompletionRequest=ChatCompletionRequest, CompletionRequest=CompletionRequest)
    config = {"temperature": 0.3, "max_new_tokens": 2048, "eos_token_id": [2, 195, 196]}
    (tmp_path / "generation_config.json").write_text(json.dumps(config))
    use_request_defaults(protocol, tmp_path)
    for own, kind in (
        (ChatCompletionRequest, protocol.ChatCompletionRequest),
        (CompletionRequest, protocol.CompletionRequest),
    ):
        assert issubclass(kind, own)
        request = kind.model_validate({"model": "m"})
        assert (request.temperature, request.max_tokens, request.stop_token_ids) == (0.3, 16, [2, 195, 196])
