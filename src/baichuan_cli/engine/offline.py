"""vLLM inside this process: `vllm.LLM`, driven step by step.

Stepping the engine ourselves, where `LLM.generate` returns everything at the end, is what lets a batch write each
answer as it finishes and a terminal show text as it comes. `add_request` and `step` are the same from 0.5.0 to 0.33.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from baichuan_cli.engine.failures import explained
from baichuan_cli.engine.log import EngineLog
from baichuan_cli.engine.request import Choice, Completion, Rejection, Request, Token

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams

#: Called with the request's id and the text that is new since the last call, for its first choice.
TextListener = Callable[[str, str], None]

#: Requests held ready beyond those that run, so that a finished one is replaced at the next step.
_AHEAD = 256


class OfflineEngine:
    """An engine in this process.

    The environment of the plan must be set before vLLM is first imported, so before this is constructed.

    Args:
        arguments: keyword arguments of `vllm.LLM`.
        sampling: keyword arguments of `vllm.SamplingParams` that hold for every request.
        log: where vLLM writes; its end is shown when something fails.

    Raises:
        BcliError: vLLM could not start.
    """

    def __init__(self, arguments: Mapping[str, Any], sampling: Mapping[str, Any], log: EngineLog) -> None:
        with explained(log):
            from vllm import LLM

            self._engine: Any = LLM(**arguments).llm_engine
        self._sampling = dict(sampling)
        self._log = log
        self._window = int(arguments.get("max_num_seqs") or _AHEAD) + _AHEAD

    def run(
        self, requests: Iterable[Request], *, on_text: TextListener | None = None
    ) -> Iterator[Completion | Rejection]:
        """Answer requests, each as soon as it is finished and in no fixed order.

        Requests are taken from the iterable only as the engine has room for them. Closing the iterator aborts
        what is still running.

        Raises:
            BcliError: vLLM failed.
        """
        waiting = iter(requests)
        running: dict[str, _Progress] = {}
        try:
            while True:
                batch = list(islice(waiting, self._window - len(running)))
                if not batch and not running:
                    return
                for request in batch:
                    if rejection := self._add(request, stream=on_text is not None):
                        yield rejection
                    else:
                        running[request.request_id] = _Progress()
                with explained(self._log):
                    outputs = self._engine.step() if running else ()
                for output in outputs:
                    progress = running[output.request_id]
                    if on_text is not None and (new := progress.advance(output)):
                        on_text(output.request_id, new)
                    if output.finished:
                        del running[output.request_id]
                        yield progress.completion(output)
        finally:
            if running:
                self._engine.abort_request(list(running))

    def close(self) -> None:
        """End vLLM's worker processes, while its log is still open for what they say about it.

        Left to the end of the process, vLLM would do the same, and say so on stdout.
        """
        # The V1 engine has a core, which is in this process or not; the engine before it had an executor.
        owner = getattr(self._engine, "engine_core", None) or self._engine.model_executor
        with explained(self._log):
            owner.shutdown()

    def _add(self, request: Request, *, stream: bool) -> Rejection | None:
        prompt = {"prompt_token_ids": list(request.prompt_token_ids)}
        with explained(self._log):
            try:
                parameters = _sampling_params({**self._sampling, **request.sampling}, stream=stream)
                self._engine.add_request(request.request_id, prompt, parameters)
            except _refusals() as error:
                return Rejection(request.request_id, str(error))
        return None


class _Progress:
    """What is known of a request while it runs."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._first_token_seconds: float | None = None
        self._shown = 0

    def advance(self, output: RequestOutput) -> str:
        """Note a partial output (cumulative text) and return what is new in it."""
        if self._first_token_seconds is None:
            self._first_token_seconds = time.perf_counter() - self._started
        first = min(output.outputs, key=lambda choice: choice.index)
        if first.index != 0:
            return ""
        # A character whose bytes are not complete yet decodes to U+FFFD; it is shown once it is whole.
        whole: str = first.text if output.finished else first.text.rstrip("\ufffd")
        new, self._shown = whole[self._shown :], max(self._shown, len(whole))
        return new

    def completion(self, output: RequestOutput) -> Completion:
        return Completion(
            request_id=output.request_id,
            prompt_tokens=len(output.prompt_token_ids),
            choices=tuple(_choice(choice) for choice in sorted(output.outputs, key=lambda choice: choice.index)),
            first_token_seconds=self._first_token_seconds,
            total_seconds=time.perf_counter() - self._started,
            cached_tokens=getattr(output, "num_cached_tokens", None),
            prompt_logprobs=_prompt_logprobs(getattr(output, "prompt_logprobs", None)),
        )


def _refusals() -> tuple[type[Exception], ...]:
    """Return what vLLM raises at a request that it does not take; new releases have a class of their own for it."""
    try:
        from vllm.exceptions import VLLMClientError
    except ImportError:
        return (ValueError,)
    return (ValueError, VLLMClientError)


def _sampling_params(arguments: Mapping[str, Any], *, stream: bool) -> SamplingParams:
    import vllm.sampling_params

    # Releases before 0.6.4 have no output kinds: they always return the cumulative text.
    kinds = getattr(vllm.sampling_params, "RequestOutputKind", None)
    kind = {} if kinds is None else {"output_kind": kinds.CUMULATIVE if stream else kinds.FINAL_ONLY}
    return vllm.sampling_params.SamplingParams(**arguments, **kind)


def _choice(output: Any) -> Choice:
    token_ids = tuple(output.token_ids)
    return Choice(
        index=output.index,
        text=output.text,
        token_ids=token_ids,
        finish_reason="length" if output.finish_reason == "length" else "stop",
        logprobs=None if output.logprobs is None else tuple(map(_token, token_ids, output.logprobs)),
    )


def _prompt_logprobs(positions: Any) -> tuple[dict[int, float], ...] | None:
    """Return what vLLM says of the prompt's own tokens; it says nothing of the first, which follows no other."""
    if positions is None:
        return None
    return tuple({token: entry.logprob for token, entry in (candidates or {}).items()} for candidates in positions)


def _token(token_id: int, candidates: Mapping[int, Any]) -> Token:
    ranked = sorted(candidates.items(), key=lambda item: item[1].logprob, reverse=True)
    chosen = candidates[token_id]
    return Token(
        token_id=token_id,
        text=chosen.decoded_token or "",
        logprob=chosen.logprob,
        top=tuple((candidate, entry.decoded_token or "", entry.logprob) for candidate, entry in ranked),
    )
