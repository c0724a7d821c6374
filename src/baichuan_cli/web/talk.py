"""What the page does with a question: ask the server, show the answer as it comes, say what went wrong."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

from baichuan_cli.chat.backend import MessageBackend
from baichuan_cli.engine.client import Client, ServedModel, ServerError
from baichuan_cli.web.answer import Answer, follow
from baichuan_cli.web.conversation import History, Message, assistant, rounds, to_openai, user
from baichuan_cli.web.problems import problem, remark
from baichuan_cli.web.sampling import Knobs, Offered, offer
from baichuan_cli.web.tabs import Tabs
from baichuan_cli.web.texts import Language
from baichuan_cli.web.words import say, statistics

#: A served model's own sampling parameters, by the names of vLLM's SamplingParams; None where nobody knows them.
OwnSampling = Callable[[ServedModel], Mapping[str, Any] | None]


class Question(NamedTuple):
    """What a person asks, of which model, and how."""

    text: str
    model: str
    system: str
    knobs: Knobs


class Shown(NamedTuple):
    """What the page shows."""

    history: History
    status: str
    running: bool = False


class Talk:
    """The conversations of all tabs with one server; each tab keeps its own and sends it along.

    Args:
        client: talks to the server.
        own_sampling: what is known about a model that the server lists.
    """

    def __init__(self, client: Client, own_sampling: OwnSampling) -> None:
        self._client = client
        self._own_sampling = own_sampling
        self.models: tuple[Offered, ...] = ()
        self.tabs = Tabs()
        self._backends: dict[str, MessageBackend] = {}

    async def look(self) -> None:
        """Ask the server which models it has.

        Raises:
            ServerError: it does not say, or has none; what was known of it stays.
        """
        models = tuple(offer(served, self._own_sampling(served)) for served in await self._client.models())
        if not models:
            raise ServerError("The server lists no model.", hint="Start it with one: bcli serve MODEL", status=404)
        self.models = models

    def model(self, name: str) -> Offered:
        """Return how a model is asked, also one that the server does not list any more."""
        listed = {model.name: model for model in self.models}
        return listed.get(name) or offer(ServedModel(name, None, None), None)

    async def answer(
        self, tab: str, history: History, question: Question, language: Language
    ) -> AsyncGenerator[Shown, None]:
        """Yield what the page shows, from the question to the end of its answer."""
        model = self.model(question.model)
        asked = [*history, user(question.text)]
        messages = to_openai(rounds(history), question.text, question.system)
        events = self._backend(tab, model.name).answer(self._client, messages, model.sampling(question.knobs))
        answer = Answer()
        with self.tabs.running(tab) as running:
            yield Shown(asked, say(language, "waiting"), running=True)
            try:
                async with aclosing(follow(events, running.stop)) as answers:
                    async for answer in answers:
                        if answer.text and not running.unwanted:
                            yield Shown([*asked, assistant(answer.text)], "", running=True)
            except ServerError as error:
                begun = [assistant(answer.text)] if answer.text else []
                end = Shown([*asked, *begun, problem(error, language, begun=bool(begun))], "")
            else:
                end = Shown([*asked, _whole(answer, language)], statistics(answer, language, context=model.context))
            if not running.unwanted:
                yield end
            elif running.instead is not None:
                yield Shown(running.instead, "")

    def leave(self, tab: str) -> None:
        """Forget a tab that was closed, and end its answer."""
        self.tabs.drop(tab)
        self._backends.pop(tab, None)

    def _backend(self, tab: str, model: str) -> MessageBackend:
        """Return what asks a tab's model; it remembers how much of the tab's conversation no longer fits."""
        backend = self._backends.get(tab)
        if backend is None or backend.model != model:
            backend = self._backends[tab] = MessageBackend(model)
        return backend


def _whole(answer: Answer, language: Language) -> Message:
    if answer.text:
        return assistant(answer.text)
    return remark("stopped" if answer.stopped else "empty", language)
