"""From a prompt or a chat to the token ids that the engine is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baichuan_cli.batch.item import BatchItem, Message
from baichuan_cli.catalog.model import ChatFamily
from baichuan_cli.engine.request import Request
from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from baichuan_cli.tokenizer.load import Tokenizer


@dataclass(frozen=True, slots=True)
class Encoder:
    """How prompts become token ids.

    Attributes:
        family: the chat layout; None for a base model.
        max_model_len: the longest prompt plus answer, in tokens.
        max_tokens: the longest answer where an item says nothing.
        chat: ask plain prompts in the chat layout too.
        system: a system prompt for those; None for none.
    """

    tokenizer: Tokenizer
    family: ChatFamily | None
    max_model_len: int
    max_tokens: int
    chat: bool = False
    system: str | None = None

    def encode(self, item: BatchItem) -> Request:
        """Return the request of an item.

        Raises:
            BcliError: the prompt is too long, the item has ids that the model does not have, or it is a chat for a
                base model.
        """
        ids = self._ids(item)
        if len(ids) >= self.max_model_len:
            raise BcliError(
                f"The prompt has {len(ids)} tokens, and the context holds {self.max_model_len} with the answer.",
                hint="Shorten it, or raise --max-model-len if the model allows it.",
            )
        sampling = dict(item.sampling)
        self._require_known(sampling.get("stop_token_ids", ()))
        if sampling.get("ignore_eos"):
            sampling.setdefault("stop_token_ids", [])
        return Request(item.custom_id, tuple(ids), sampling)

    def encode_all(self, items: Sequence[BatchItem]) -> dict[str, Request | BcliError]:
        """Return the request of each item by its custom_id, or what stands against it."""
        encoded: dict[str, Request | BcliError] = {}
        for item in items:
            try:
                encoded[item.custom_id] = self.encode(item)
            except BcliError as error:
                encoded[item.custom_id] = error
        return encoded

    def _ids(self, item: BatchItem) -> Sequence[int]:
        if item.messages is not None:
            return self._chat_ids(item.messages, item)
        if isinstance(item.prompt, tuple):
            self._require_known(item.prompt)
            return item.prompt
        if not self.chat:
            return self.tokenizer.encode(item.prompt or "")
        messages = [Message(role="system", content=self.system)] if self.system is not None else []
        return self._chat_ids((*messages, Message(role="user", content=item.prompt or "")), item)

    def _require_known(self, ids: Any) -> None:
        """Refuse ids that the model does not have: vLLM would look for them among the logits, and end."""
        if foreign := [token_id for token_id in ids if token_id >= self.tokenizer.vocab_size]:
            raise BcliError(f"Token id {foreign[0]} is none of the model's {self.tokenizer.vocab_size}.")

    def _chat_ids(self, messages: Sequence[Message], item: BatchItem) -> Sequence[int]:
        from baichuan_cli.tokenizer.chat import chat_prompt_ids

        if self.family is None:
            raise BcliError(
                "This is a base model: it has no chat format.",
                hint="Give it plain prompts to continue, or use a chat model: bcli models list",
            )
        wanted = item.sampling.get("max_tokens", self.max_tokens)
        assert isinstance(wanted, int)
        # As the official code does, room for the answer is kept free, at most half of the context.
        room = self.max_model_len - min(wanted, self.max_model_len // 2)
        return chat_prompt_ids(self.tokenizer, messages, self.family, max_prompt_tokens=room).token_ids
