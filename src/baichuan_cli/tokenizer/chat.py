"""A chat as token ids, in the official layout of Baichuan 1 and 2.

After `build_chat_input` in the `generation_utils.py` of the chat checkpoints: the system prompt without a role token,
each turn behind the token of its role, the assistant's token last; no `<s>` in front, no `</s>` between turns. Built
from ids and not from a text template, because Baichuan 1 puts a space before every text: no template says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from baichuan_cli.catalog.model import ASSISTANT_ID, USER_ID, USER_TOKENS, ChatFamily
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.tokenizer.load import Tokenizer

_ROLE_IDS = {"user": USER_ID, "assistant": ASSISTANT_ID}


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A chat ready for the model.

    Attributes:
        token_ids: the prompt.
        dropped_rounds: the oldest rounds that did not fit; a round is a user's turn with what answers it.
        cut_tokens: tokens cut from the left because the system prompt and the newest round alone did not fit.
    """

    token_ids: tuple[int, ...]
    dropped_rounds: int
    cut_tokens: int


def chat_prompt_ids(
    tokenizer: Tokenizer, messages: Sequence[Mapping[str, object]], family: ChatFamily, *, max_prompt_tokens: int
) -> ChatPrompt:
    """Lay out a chat that ends with the user's turn, so that the assistant answers.

    Args:
        tokenizer: the tokenizer of the model.
        messages: `{"role": …, "content": …}`; the role is `user`, `assistant` or, in the first message, `system`.
        family: the chat family of the model.
        max_prompt_tokens: what the prompt may have. Whole rounds are dropped, oldest first; the newest is kept and,
            as in the official code, cut on the left if it is too long by itself.

    Raises:
        BcliError: a message has a wrong role, place or content, or the tokenizer is not of this family.
    """
    if tokenizer.token(USER_ID) != USER_TOKENS[family]:
        raise BcliError(
            f"Token {USER_ID} of this model is {tokenizer.token(USER_ID)!r}, not {USER_TOKENS[family]!r}: "
            f"it cannot chat in the format of {family}.",
            hint="Use the tokenizer.model that came with the chat model.",
            exit_code=ExitCode.INVALID,
        )
    turns = [_turn(index, message) for index, message in enumerate(messages)]
    _check_order([role for role, _ in turns])
    system: list[int] = []
    rounds: list[list[int]] = []
    encoded = tokenizer.encode_batch([content for _, content in turns])
    for (role, _), ids in zip(turns, encoded, strict=True):
        if role == "system":
            system = ids
            continue
        if role == "user":
            rounds.append([])
        rounds[-1] += [_ROLE_IDS[role], *ids]

    kept = rounds.pop()
    # The assistant's token at the end is not counted here, as in the official code; the cut below makes up for it.
    while rounds and len(system) + len(rounds[-1]) + len(kept) <= max_prompt_tokens:
        kept = rounds.pop() + kept
    whole = [*system, *kept, ASSISTANT_ID]
    cut = max(0, len(whole) - max_prompt_tokens)
    return ChatPrompt(tuple(whole[cut:]), dropped_rounds=len(rounds), cut_tokens=cut)


def _turn(index: int, message: Mapping[str, object]) -> tuple[str, str]:
    role, content = message.get("role"), message.get("content")
    if role not in ("system", "user", "assistant"):
        raise _wrong(index, f"has the role {role!r}", "Use system (first message only), user or assistant.")
    if not isinstance(content, str):
        raise _wrong(index, f"has the content {content!r}", "Give the content as text.")
    return str(role), content


def _check_order(roles: Sequence[str]) -> None:
    if "system" in roles[1:]:
        index = roles.index("system", 1)
        raise _wrong(index, "is a system prompt", "Only the first message can be one.")
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if turns and turns[0] == "assistant":
        raise _wrong(len(roles) - len(turns), "is the assistant's", "The user speaks first.")
    if not turns or turns[-1] != "user":
        where = f"Message {len(roles)} of {len(roles)} is the {roles[-1]}'s" if roles else "There are no messages"
        raise BcliError(f"{where}: nobody to answer.", hint="End the chat with the user's message.")


def _wrong(index: int, what: str, hint: str) -> BcliError:
    return BcliError(f"Message {index + 1} {what}.", hint=hint)
