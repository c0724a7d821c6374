"""Whether the servers answer that models come from: each is asked for one small page, all at the same time.

Nothing else is asked, and nothing is told: no token is sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
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
_MODEL = "baichuan-inc/Baichuan2-7B-Chat"  # the page that is asked for


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source of models did when it was asked.

    Attributes:
        source: its name, as in `bcli download --source`.
        address: of the server.
        seconds: until it had answered.
        problem: why it cannot be used now; empty where it can.
    """

    source: str
    address: str
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
    questions = [
        partial(_ask, "huggingface", "HF_ENDPOINT", "https://huggingface.co", "/api/models/"),
        partial(_ask, "hf-mirror", "", MIRROR, "/api/models/"),
        partial(_ask, "modelscope", "MODELSCOPE_ENDPOINT", "https://modelscope.cn", "/api/v1/models/"),
    ]
    # Looking a name up can hang for longer than any time-out of a connection; such a thread is left behind.
    pool = ThreadPool(len(questions))
    pending = [(question.args[0], question.args[2], pool.apply_async(question)) for question in questions]
    pool.close()
    answers: list[Answer] = []
    deadline = time.monotonic() + 2 * _SECONDS
    for source, address, result in pending:
        try:
            answers.append(result.get(max(0.0, deadline - time.monotonic())))
        except PoolTimeoutError:
            answers.append(Answer(source, address, problem=f"no answer within {2 * _SECONDS:g} s"))
    return Hub(_once(answers))


def _once(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Leave out a server that stands there twice: HF_ENDPOINT may name the mirror."""
    by_address = {answer.address: answer for answer in reversed(answers)}
    return tuple(reversed(by_address.values()))


def _ask(source: str, variable: str, default: str, path: str) -> Answer:
    address = default
    started = time.monotonic()
    try:
        address = server_address(variable, default) if variable else default
        read_all(f"{address}{path}{_MODEL}", {"User-Agent": "bcli"}, silence=_SECONDS)
    except HttpRefusalError as refusal:
        # A refusal about this model is an answer; a proxy's or a gateway's is none.
        if refusal.status == 407:
            return Answer(source, address, problem="the proxy wants a password")
    except TemporaryProblem as problem:
        return Answer(source, address, problem=problem.reason)
    except RangeRefusedError:
        return Answer(source, address, problem="its answer makes no sense")
    except SourceError as error:
        return Answer(source, address, problem=error.reason)
    return Answer(source, address, seconds=time.monotonic() - started)
