"""The list of past conversations."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baichuan_cli.chat.archive import Kept
    from baichuan_cli.cli.output import Output

_LONGEST = 40  # characters of the first question


def show_list(conversations: Iterable[Kept], out: Output) -> None:
    """Show past conversations, the one that was used last at the bottom, next to what is typed now."""
    found = list(conversations)
    if out.json_mode:
        out.json({"schema": "bcli.chats/1", "conversations": [_as_json(kept) for kept in found]})
    elif not found:
        out.note("There is no conversation yet. Begin one: bcli chat")
    else:
        out.table(("name", "last used", "model", "rounds", "first question"), [_row(kept) for kept in found])


def _row(kept: Kept) -> tuple[str, ...]:
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(kept.used))
    if kept.conversation is None:
        return kept.name, used, "", "", f"cannot be read: {kept.path}"
    first = " ".join(kept.conversation.first_question.split())
    shown = first if len(first) <= _LONGEST else f"{first[: _LONGEST - 1]}…"
    return kept.name, used, kept.conversation.model, str(len(kept.conversation.rounds)), shown


def _as_json(kept: Kept) -> dict[str, object]:
    about: dict[str, object] = {"name": kept.name, "path": str(kept.path), "used": round(kept.used)}
    if (conversation := kept.conversation) is None:
        return {**about, "readable": False}
    return {
        **about,
        "readable": True,
        "model": conversation.model,
        "url": conversation.url,
        "rounds": len(conversation.rounds),
        "first_question": conversation.first_question,
    }
