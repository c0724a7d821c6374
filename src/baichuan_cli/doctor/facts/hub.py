"""Whether the servers answer that models come from: each is asked for one small page, all at the same time.

Nothing else is asked, and nothing is told: no token is sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import TimeoutError as PoolTimeoutError
from multiprocessing.pool import ThreadPool

from baichuan_cli.hub.http import HttpRefusalError, read_all
from baichuan_cli.hub.hugging_face import MIRROR
from baichuan_cli.hub.network import server_address
from baichuan_cli.hub.source import RangeRefusedError, SourceError, TemporaryProblem

#: A server that needs longer for a page of a few kilobytes is of no use for gigabytes.
_SECONDS = 6.0
_PROXY_WANTS_PASSWORD = 407

_HUB_PAGE = "/api/models/baichuan-inc/Baichuan2-7B-Chat"
_MODELSCOPE_PAGE = "/api/v1/models/baichuan-inc/Baichuan2-7B-Chat"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source of models did when it was asked.

    Attributes:
        source: its name, as in `bcli download --source`.
        seconds: until it had answered.
        problem: why it cannot be used now; empty where it can.
    """

    source: str
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Hub:
    """The answers in the order in which a download tries the sources; `offline` says why none was asked."""

    answers: tuple[Answer, ...] = ()
    offline: str = ""


def look_at_hub(*, offline: bool) -> Hub:
    """Ask every source, unless the person or the environment says not to.

    Args:
        offline: the person said so on the command line.
    """
    if offline:
        return Hub(offline="--offline")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):  # as huggingface_hub reads it
        return Hub(offline="HF_HUB_OFFLINE is set")
    hub = partial(server_address, "HF_ENDPOINT", "https://huggingface.co")
    modelscope = partial(server_address, "MODELSCOPE_ENDPOINT", "https://modelscope.cn")
    questions = {"huggingface": partial(_ask, "huggingface", hub, _HUB_PAGE)}
    if os.environ.get("HF_ENDPOINT", "").rstrip("/") != MIRROR:
        questions["hf-mirror"] = partial(_ask, "hf-mirror", lambda: MIRROR, _HUB_PAGE)
    questions["modelscope"] = partial(_ask, "modelscope", modelscope, _MODELSCOPE_PAGE)

    # Looking a name up can hang for longer than any time-out of a connection; such a thread is left behind.
    pool = ThreadPool(len(questions))
    pending = {source: pool.apply_async(question) for source, question in questions.items()}
    pool.close()
    answers: list[Answer] = []
    deadline = time.monotonic() + 2 * _SECONDS
    for source, result in pending.items():
        try:
            answers.append(result.get(max(0.0, deadline - time.monotonic())))
        except PoolTimeoutError:
            answers.append(Answer(source, problem=f"no answer within {2 * _SECONDS:g} s"))
    return Hub(tuple(answers))


def _ask(source: str, address: Callable[[], str], page: str) -> Answer:
    started = time.monotonic()
    try:
        read_all(f"{address()}{page}", {"User-Agent": "bcli"}, silence=_SECONDS)
    except HttpRefusalError as refusal:
        if refusal.status == _PROXY_WANTS_PASSWORD:
            return Answer(source, problem="the proxy wants a password")
        # Any other refusal is about this model, and an answer.
    except TemporaryProblem as problem:
        return Answer(source, problem=_without_host(problem.reason))
    except SourceError as error:
        return Answer(source, problem=error.reason)
    except RangeRefusedError:
        return Answer(source, problem="its answer makes no sense")
    return Answer(source, time.monotonic() - started)


def _without_host(reason: str) -> str:
    """Return a reason such as "hf-mirror.com did not answer (…)" without the host; the source's name stands there."""
    return "did not answer" + end if (end := reason.partition("did not answer")[2]) else reason
