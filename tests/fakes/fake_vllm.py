"""A stand-in for the package `vllm` where a test is about what bcli hands to it, not about what a model says.

Every prompt is answered with the same scripted pieces of text, one a step.
"""

from __future__ import annotations

import os
import sys
import types
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from typing import Any

import pytest


@dataclass
class FakeOutput:
    index: int
    text: str
    token_ids: list[int]
    finish_reason: str | None = None
    logprobs: Any = None


@dataclass
class FakeLogprob:
    logprob: float
    decoded_token: str


@dataclass
class FakeRequestOutput:
    request_id: str
    prompt_token_ids: list[int]
    outputs: list[FakeOutput]
    finished: bool


@dataclass
class FakeVllm:
    """What was handed over, and what to answer."""

    pieces: list[str] = field(default_factory=lambda: ["，疑是", "地上霜。"])
    load_error: Exception | None = None
    step_error: BaseException | None = None
    refuse: str = ""  # a request_id that add_request refuses
    llm_arguments: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    requests: dict[str, tuple[list[int], dict[str, Any]]] = field(default_factory=dict)
    aborted: list[str] = field(default_factory=list)


def install(monkeypatch: pytest.MonkeyPatch) -> FakeVllm:
    """Put the stand-in in vLLM's place."""
    state = FakeVllm()

    class SamplingParams:
        def __init__(self, **arguments: Any) -> None:
            if arguments.get("temperature", 1.0) == 0 and arguments.get("n", 1) > 1:
                raise ValueError("n must be 1 when using greedy sampling")
            self.arguments = arguments

    class Core:
        def shutdown(self) -> None:
            os.write(1, b"INFO vLLM says goodbye\n")

    class Engine:
        def __init__(self) -> None:
            self.running: dict[str, int] = {}
            self.engine_core = Core()

        def add_request(self, request_id: str, prompt: dict[str, list[int]], params: SamplingParams) -> None:
            if request_id == state.refuse:
                raise VLLMClientError("this one not")
            state.requests[request_id] = (prompt["prompt_token_ids"], params.arguments)
            self.running[request_id] = 0

        def step(self) -> list[FakeRequestOutput]:
            if state.step_error is not None:
                raise state.step_error
            outputs = []
            for request_id in list(self.running):
                self.running[request_id] += 1
                made = self.running[request_id]
                finished = made == len(state.pieces)
                choice = FakeOutput(0, "".join(state.pieces[:made]), list(range(made)), "stop" if finished else None)
                if state.requests[request_id][1].get("logprobs") is not None:
                    choice.logprobs = [{token: FakeLogprob(-0.1, "床")} for token in range(made)]
                outputs.append(FakeRequestOutput(request_id, state.requests[request_id][0], [choice], finished))
                if finished:
                    del self.running[request_id]
            return outputs

        def abort_request(self, request_ids: list[str]) -> None:
            state.aborted += request_ids

    class LLM:
        def __init__(self, **arguments: Any) -> None:
            os.write(1, b"INFO vLLM talks a lot\n")  # as vLLM's C++ parts do, past sys.stdout
            if state.load_error is not None:
                raise state.load_error
            state.llm_arguments = arguments
            state.environment = dict(os.environ)
            self.llm_engine = Engine()

    class VLLMClientError(Exception):
        """What new releases raise at a request; it is no ValueError."""

    exceptions = types.ModuleType("vllm.exceptions")
    exceptions.VLLMClientError = VLLMClientError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm.exceptions", exceptions)
    vllm = types.ModuleType("vllm")
    vllm.__spec__ = ModuleSpec("vllm", None)
    sampling_params = types.ModuleType("vllm.sampling_params")
    vllm.LLM, vllm.sampling_params = LLM, sampling_params  # type: ignore[attr-defined]
    sampling_params.SamplingParams = SamplingParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", sampling_params)
    return state
