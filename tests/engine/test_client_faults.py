"""What a person reads when a server fails, and that nothing of an answer is lost by it."""

from __future__ import annotations

import pytest

from baichuan_cli.engine.client import Client, Finish, ServerError, Timeouts
from engine.asking import HELLO, collect, complete, with_client
from fakes.openai_server import POEM, Behaviour, Fault, running_server
from fakes.raw_server import raw_server

#: Fault, text before it, status, message, hint.
FAULTS = [
    (Fault.CUT, 3, None, "The server at URL broke off in mid-answer.", "It may have crashed: look at its log."),
    (Fault.SILENT_END, 3, None, "The server at URL broke off in mid-answer.", "It may have crashed: look at its log."),
    (
        Fault.MALFORMED,
        3,
        None,
        'The server sent an event that makes no sense: {"id": "cmpl-',
        "Is it OpenAI-compatible? Look at its log.",
    ),
    (Fault.ERROR_EVENT, 3, None, "The server failed in mid-answer: EngineCore died.", "Look at its log."),
    (
        Fault.STALL,
        3,
        None,
        "The server at URL sent nothing for 1 s.",
        "It may be overloaded or stuck: look at its log.",
    ),
    (
        Fault.HANG,
        0,
        None,
        "The server at URL sent nothing for 1 s.",
        "It may be overloaded or stuck: look at its log.",
    ),
    (
        Fault.DROP,
        0,
        None,
        "The server at URL closed the connection before it answered.",
        "It may have crashed: look at its log.",
    ),
    (
        Fault.UNAUTHORIZED,
        0,
        401,
        "The server at URL does not let this request in (401): Unauthorized",
        "Give the API key that the server was started with.",
    ),
    (
        Fault.RATE_LIMITED,
        0,
        429,
        "The server at URL is asked too much (429): Too many requests.",
        "Try again in 7 s, or with fewer requests at once.",
    ),
    (
        Fault.FAILED,
        0,
        500,
        "The server at URL failed (500): EngineCore encountered an issue.",
        "Look at its log.",
    ),
    (
        Fault.NOT_JSON,
        0,
        502,
        "The server at URL is not ready (502): 502 Bad Gateway",
        "It may still be loading: try again in a minute, and look at its log.",
    ),
]
#: How long silence is waited for; every other fault shows by itself, however slow the machine is.
IMPATIENT = Timeouts(first_event=1, between_events=1)


@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flat"])
@pytest.mark.parametrize(("fault", "given", "status", "message", "hint"), FAULTS, ids=lambda value: str(value)[:20])
def test_a_fault(fault: Fault, given: int, status: int | None, message: str, hint: str, flat: bool) -> None:
    behaviour = Behaviour(fault=fault, fault_after=3, retry_after=7, flat_errors=flat)
    timeouts = IMPATIENT if fault in (Fault.STALL, Fault.HANG) else Timeouts()
    with running_server(behaviour) as server:
        text, error = complete(server.url, timeouts=timeouts)
    assert isinstance(error, ServerError)
    assert text == POEM[:given]
    assert (error.status, error.message.replace(server.url, "URL"), error.hint) == (status, message, hint)
    assert len(server.requests) == 1  # what was sent is not sent again


@pytest.mark.parametrize("fault", [Fault.NO_DONE, Fault.NO_END])
def test_an_answer_is_whole_with_either_of_its_two_ends(fault: Fault) -> None:
    with running_server(Behaviour(fault=fault)) as server:
        text, end = complete(server.url)
    assert text == POEM[:6]
    assert isinstance(end, Finish) and end.reason == "length"


def test_a_model_that_the_server_does_not_have() -> None:
    with running_server(models=("baichuan2-7b-chat", "lora")) as server:
        _, error = with_client(server.url, lambda client: collect(client.chat("demo", HELLO, {})))
    assert isinstance(error, ServerError)
    assert (error.status, error.message) == (404, f"The server at {server.url} has no model 'demo'.")
    assert error.hint == "It has: baichuan2-7b-chat, lora"


def test_an_address_where_nothing_of_the_kind_is_served() -> None:
    with running_server() as server:
        _, error = complete(f"{server.url}/elsewhere/v1")
    assert isinstance(error, ServerError)
    assert error.message == f"The server at {server.url}/elsewhere/v1 has no such thing (404): 404: Not Found"
    assert error.hint == f"Check the address, and what it serves: curl {server.url}/elsewhere/v1/models"


def _answer(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", body]).encode()


EVENTS = "Content-Type: text/event-stream"
TOKEN = 'data: {"choices": [{"index": 0, "text": "月", "finish_reason": null}]}\n\n'

#: What is sent back, and what a person reads.
ANSWERS = [
    (
        _answer("200 OK", "<html>a page</html>", "Content-Type: text/html"),
        "The server at URL sent text/html instead of a stream of events.",
        "Check the address: an OpenAI-compatible server answers there.",
    ),
    (
        _answer("200 OK", "", EVENTS),
        "The server at URL broke off in mid-answer.",
        "It may have crashed: look at its log.",
    ),
    (
        _answer("307 Temporary Redirect", "", "Location: https://elsewhere/v1/completions"),
        "The server at URL has moved (307).",
        "It names the address https://elsewhere/v1/completions: give that one.",
    ),
    (
        _answer("429 Too Many Requests", "", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"),
        "The server at URL is asked too much (429).",
        "Try again after Wed, 21 Oct 2026 07:28:00 GMT, or with fewer requests at once.",
    ),
    (
        _answer("401 Unauthorized", '{"error": {"message": "Wrong key sk-secret given."}}'),
        "The server at URL does not let this request in (401): Wrong key *** given.",
        "Give the API key that the server was started with.",
    ),
    (
        _answer("422 Unprocessable Entity", '{"detail": [{"loc": ["body", "n"], "msg": "is no number"}, "?"]}'),
        "The server at URL refused the request (422): body.n: is no number; ?",
        "Change what it names, or leave it away.",
    ),
    (b"SSH-2.0-OpenSSH_9.6\r\n", "What answers at URL does not speak HTTP", "Check the port."),
    (
        _answer("200 OK", TOKEN + 'data: {"choices": [{"index": 0, "text": 7}]}\n\n', EVENTS),
        'The server sent an event that makes no sense: {"choices": [{"index": 0, "text": 7}]}',
        "Is it OpenAI-compatible? Look at its log.",
    ),
    (
        _answer("200 OK", TOKEN + 'data: {"object": "error", "message": "Out of memory", "code": 500}\n\n', EVENTS),
        "The server failed in mid-answer: Out of memory",
        "Look at its log.",
    ),
]


@pytest.mark.parametrize(("answer", "message", "hint"), ANSWERS, ids=lambda value: str(value)[:30])
def test_an_answer_that_is_none(answer: bytes, message: str, hint: str) -> None:
    with raw_server(answer) as server:
        _, error = complete(server.url, api_key="sk-secret")
    assert isinstance(error, ServerError)
    assert error.message.replace(server.url, "URL").startswith(message)
    assert error.hint == hint


def test_a_list_of_models_that_is_none() -> None:
    with raw_server(_answer("200 OK", '{"models": []}')) as server, pytest.raises(ServerError) as caught:
        with_client(server.url, Client.models)
    assert caught.value.message == f'What answers at {server.url}/models is no list of models: {{"models": []}}'


def test_usage_that_comes_with_the_last_text() -> None:
    usage = '{"prompt_tokens": 4, "completion_tokens": 1}'
    body = f'data: {{"choices": [{{"text": "月", "finish_reason": "stop"}}], "usage": {usage}}}\n\n'
    with raw_server(_answer("200 OK", body, EVENTS)) as server:
        text, end = complete(server.url)
    assert isinstance(end, Finish) and end.usage
    assert (text, end.reason, end.usage.prompt_tokens, end.usage.completion_tokens) == ("月", "stop", 4, 1)
