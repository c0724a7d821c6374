"""Whoever answers: an engine of our own, which is given token ids, or any OpenAI-compatible server, given messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baichuan_cli.catalog.model import ChatFamily
from baichuan_cli.chat.conversation import Message

if TYPE_CHECKING:
    from baichuan_cli.engine.client import Client, Delta, Finish
    from baichuan_cli.tokenizer.load import Tokenizer

#: Sampling parameters that mean nothing in a conversation, which has one answer a question.
NO_CHAT_SETTINGS = ("n", "logprobs")


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What did not fit into the context and was left out of what the model is given."""

    rounds: int  # the oldest ones
    cut_tokens: int = 0  # of the newest, on the left


Answer = AsyncGenerator["Trimmed | Delta | Finish", None]


@dataclass(frozen=True, slots=True)
class TokenBackend:
    """Lays out the conversation itself, as the official code does, and sends token ids.

    Attributes:
        model: the name that the server knows.
        max_model_len: the longest prompt plus answer, in tokens.
    """

    model: str
    tokenizer: Tokenizer
    family: ChatFamily
    max_model_len: int

    async def answer(self, client: Client, messages: Sequence[Message], sampling: Mapping[str, object]) -> Answer:
        """Stream what was left out of the context, if anything, and the answer.

        Raises:
            BcliError: the server failed.
        """
        from baichuan_cli.tokenizer.chat import chat_prompt_ids

        wanted = int(str(sampling["max_tokens"]))
        # As the official code does, room for the answer is kept free, at most half of the context.
        room = self.max_model_len - min(wanted, self.max_model_len // 2)
        prompt = chat_prompt_ids(self.tokenizer, messages, self.family, max_prompt_tokens=room)
        if prompt.dropped_rounds or prompt.cut_tokens:
            yield Trimmed(prompt.dropped_rounds, prompt.cut_tokens)
        # vLLM refuses a request that could exceed the context.
        most = min(wanted, self.max_model_len - len(prompt.token_ids))
        async with aclosing(client.complete(self.model, prompt.token_ids, {**sampling, "max_tokens": most})) as events:
            async for event in events:
                yield event


class MessageBackend:
    """Sends the messages; the server lays them out by its own chat template.

    How long they are only the server knows. When it says that they are too long, the oldest rounds go, one after the
    other; what it has refused once is not sent again.

    Args:
        model: the name that the server knows.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self._dropped: list[Message] = []  # the oldest turns of the last conversation that did not fit

    async def answer(self, client: Client, messages: Sequence[Message], sampling: Mapping[str, object]) -> Answer:
        """Stream what was left out of the context, if anything, and the answer.

        Raises:
            BcliError: the server failed, or the last question alone is too long.
        """
        from baichuan_cli.engine.client import ServerError

        system = list(messages[:1]) if messages[0]["role"] == "system" else []
        turns = list(messages[len(system) :])
        rounds = len(turns) // 2
        known = turns[: len(self._dropped)] == self._dropped
        dropped = min(len(self._dropped) // 2, rounds) if known else 0
        while True:
            try:
                async with aclosing(client.chat(self.model, [*system, *turns[2 * dropped :]], sampling)) as events:
                    first = await anext(events)
                    self._dropped = turns[: 2 * dropped]
                    if dropped:
                        yield Trimmed(dropped)
                    yield first
                    async for event in events:
                        yield event
                return
            except ServerError as error:
                if dropped == rounds or not error.too_long:
                    raise
            dropped += 1
