"""One answer: asked for, shown as it comes, kept as it comes, and stopped by Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baichuan_cli.chat.events import Finish
from baichuan_cli.chat.figures import Figures
from baichuan_cli.chat.keyboard import silent_keyboard
from baichuan_cli.cli.chat.view import view
from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from baichuan_cli.chat.backend import Trimmed
    from baichuan_cli.chat.conversation import Conversation
    from baichuan_cli.cli.chat.engine import Engine
    from baichuan_cli.cli.output import Output

#: Called with what is new in the answer, and at its end with how it ended.
Keep = Callable[[str, "Finish | None"], None]

_SAVE_SECONDS = 1.0  # between two pieces of an answer in the file


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer ended."""

    finish: Finish
    figures: Figures
    error: BcliError | None = None  # why it failed


def show_answer(
    engine: Engine,
    conversation: Conversation,
    sampling: dict[str, object],
    out: Output,
    *,
    keep: Keep,
    on_trimmed: Callable[[Trimmed], None],
) -> Outcome:
    """Have the last question answered; the engine must be ready."""
    answering = _Answering(out, keep, on_trimmed)
    failure = None
    finish: Finish = "stop"
    try:
        with silent_keyboard():
            asyncio.run(answering.run(engine, conversation, sampling))
    except (asyncio.CancelledError, KeyboardInterrupt):  # the second before the handler of signals is in place
        finish = "stopped"
    except BcliError as error:
        finish, failure = "failed", error
    else:
        finish = "length" if answering.reason == "length" else "stop"
    answering.end(finish)
    return Outcome(finish, answering.figures, engine.cause_of(failure) if failure else None)


class _Answering:
    def __init__(self, out: Output, keep: Keep, on_trimmed: Callable[[Trimmed], None]) -> None:
        self.figures = Figures(None, None, 0.0)
        self.reason: str | None = None
        self._keep = keep
        self._on_trimmed = on_trimmed
        self._out = out
        self._view = view(out)
        self._waiting = ExitStack()
        self._first: float | None = None
        self._unkept = ""
        self._kept_at = time.monotonic()

    async def run(self, engine: Engine, conversation: Conversation, sampling: dict[str, object]) -> None:
        """Show and keep the answer until it ends.

        Raises:
            asyncio.CancelledError: Ctrl-C was pressed; the server has been told to stop.
            BcliError: the server failed.
        """
        from baichuan_cli.chat.backend import Trimmed
        from baichuan_cli.engine.client import Delta

        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
        self._waiting.enter_context(self._out.status("…"))
        async with (
            engine.client() as client,
            aclosing(engine.backend.answer(client, conversation.messages(), sampling)) as events,
        ):
            async for event in events:
                match event:
                    case Trimmed():
                        self._waiting.close()
                        self._on_trimmed(event)
                    case Delta():
                        self._take(event.text, event.seconds)
                    case _:
                        self.reason = event.reason
                        self.figures = Figures(event.usage, self._first, event.seconds)

    def end(self, finish: Finish) -> None:
        """Show and keep the rest."""
        self._waiting.close()
        self._view.finish()
        self._keep(self._unkept, finish)

    def _take(self, text: str, seconds: float) -> None:
        if self._first is None:
            self._first = seconds
            self._waiting.close()
        self.figures = Figures(None, self._first, seconds)
        self._view.feed(text)
        self._unkept += text
        if time.monotonic() - self._kept_at >= _SAVE_SECONDS:
            self._keep(self._unkept, None)
            self._unkept, self._kept_at = "", time.monotonic()
