"""What the page does with a question: ask the server, show the answer as it comes, say what went wrong."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

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
        """Yield what the page shows, from the question to the end of its answer.

        Rounds are left out, the oldest first, for as long as the server says that the prompt is too long.
        """
        model = self.model(question.model)
        answered = rounds(history)
        asked = [*history, user(question.text)]
        answer = Answer()
        with self.tabs.running(tab) as running:
            yield Shown(asked, say(language, "waiting"), running=True)
            for left_out in range(len(answered) + 1):
                messages = to_openai(answered[left_out:], question.text, question.system)
                events = self._client.chat(model.name, messages, model.sampling(question.knobs))
                try:
                    async with aclosing(follow(events, running.stop)) as answers:
                        async for answer in answers:
                            if answer.text and not running.unwanted:
                                yield Shown([*asked, assistant(answer.text)], "", running=True)
                except ServerError as error:
                    if error.too_long and left_out < len(answered):
                        continue
                    begun = [assistant(answer.text)] if answer.text else []
                    end = Shown([*asked, *begun, problem(error, language, begun=bool(begun))], "")
                else:
                    line = statistics(answer, language, context=model.context, left_out=left_out)
                    end = Shown([*asked, _whole(answer, language)], line)
                break
            if not running.unwanted:
                yield end
            elif running.instead is not None:
                yield Shown(running.instead, "")


def _whole(answer: Answer, language: Language) -> Message:
    if answer.text:
        return assistant(answer.text)
    return remark("stopped" if answer.stopped else "empty", language)
