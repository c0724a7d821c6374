"""A conversation as it stands: the outcome of all its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from baichuan_cli.chat.events import (
    AnswerDropped,
    Answered,
    Asked,
    Begun,
    Event,
    Finish,
    ModelChosen,
    RoundDropped,
    SettingChanged,
    SystemChanged,
)
from baichuan_cli.plan.model import SettingValue

Message = dict[str, str]  # {"role": …, "content": …}, as in OpenAI's API


@dataclass(frozen=True, slots=True)
class Round:
    """A question and what answers it; `finish` is None where the answer is under way or the process died in it."""

    question: str
    answer: str = ""
    finish: Finish | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said, with whom, and how answers are sampled.

    Attributes:
        model: the name of the model that answers.
        url: the server that answers, unless bcli starts one itself.
        sampling: what the person set, by the names of vLLM's SamplingParams.
    """

    model: str
    url: str | None = None
    system: str | None = None
    rounds: tuple[Round, ...] = ()
    sampling: Mapping[str, SettingValue] = field(default_factory=dict)

    @property
    def first_question(self) -> str:
        """Return what a list of conversations shows of this one; empty before the first question."""
        return self.rounds[0].question if self.rounds else ""

    @property
    def size(self) -> str:
        """Return how long it is, in words."""
        return f"{len(self.rounds)} {'round' if len(self.rounds) == 1 else 'rounds'}"

    def after(self, event: Event) -> Conversation:
        """Return the conversation with what happened.

        Raises:
            ValueError: there is no round that the event could be about.
        """
        match event:
            case Begun() | ModelChosen():
                return replace(self, model=event.model, url=event.url)
            case SystemChanged():
                return replace(self, system=event.content)
            case SettingChanged(value=None):
                return replace(self, sampling={k: v for k, v in self.sampling.items() if k != event.name})
            case SettingChanged():
                return replace(self, sampling={**self.sampling, event.name: event.value})
            case Asked():
                return replace(self, rounds=(*self.rounds, Round(event.content)))
        if not self.rounds:
            raise ValueError(f"{event.event} before the first question")
        *before, last = self.rounds
        match event:
            case Answered():
                last = replace(last, answer=last.answer + event.content, finish=event.finish)
            case AnswerDropped():
                last = Round(last.question)
            case RoundDropped():
                return replace(self, rounds=tuple(before))
        return replace(self, rounds=(*before, last))

    def messages(self) -> list[Message]:
        """Return the messages that the model is given to answer the last question.

        Rounds before it that have no answer are left out: two questions in a row are no chat.
        """
        messages = [{"role": "system", "content": self.system}] if self.system is not None else []
        for each in self.rounds[:-1]:
            if each.answer:
                messages.append({"role": "user", "content": each.question})
                messages.append({"role": "assistant", "content": each.answer})
        return messages + [{"role": "user", "content": each.question} for each in self.rounds[-1:]]


def begin(event: Event) -> Conversation:
    """Return the conversation that the first event of a file begins.

    Raises:
        ValueError: it begins none.
    """
    if not isinstance(event, Begun):
        raise ValueError("it does not begin a conversation")
    return Conversation(event.model, event.url)
