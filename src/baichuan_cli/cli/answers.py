"""Where the answers to a few prompts go: text for a person, or one JSON object. Batches have files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baichuan_cli.batch.item import BatchItem
    from baichuan_cli.batch.records import Record
    from baichuan_cli.cli.output import Output


class Collected:
    """Records kept for one JSON object."""

    answered: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def write(self, record: Record) -> None:
        """Keep one record."""
        self._records[str(record["custom_id"])] = record

    def in_order(self, items: tuple[BatchItem, ...]) -> list[Record]:
        """Return the answers in the order of the prompts, each with its prompt and without what only a file needs."""
        shown = ("choices", "usage", "timing", "error")
        records = [(item.prompt, self._records[item.custom_id]) for item in items]
        return [
            {"prompt": prompt, **{key: record[key] for key in shown if key in record}} for prompt, record in records
        ]


class Shown:
    """Answers as text, in the order of the prompts.

    On a terminal the prompt stands before its answer: on a line of its own in a chat, and otherwise so that the answer
    reads on from it.

    Args:
        chat: prompts are asked in the chat format.
        streamed: the text of the only answer comes to the screen by itself.
    """

    answered: frozenset[str] = frozenset()

    def __init__(self, items: tuple[BatchItem, ...], out: Output, *, chat: bool, streamed: bool) -> None:
        self._out = out
        self._chat = chat
        self._streamed = streamed
        self._waiting = list(items)
        self._records: dict[str, Any] = {}
        self._shown_any = False
        if streamed:
            self._echo(items[0])

    def write(self, record: Record) -> None:
        """Show this answer once those before it are shown."""
        self._records[str(record["custom_id"])] = record
        while self._waiting and self._waiting[0].custom_id in self._records:
            item = self._waiting.pop(0)
            self._show(item, self._records.pop(item.custom_id))

    def _show(self, item: BatchItem, record: Any) -> None:
        if error := record.get("error"):
            self._out.warning(f"no answer to {item.custom_id}: {error['message']}")
        elif self._streamed:
            self._out.text("")
        else:
            for choice in record["choices"]:
                if self._shown_any:
                    self._out.text("")
                self._echo(item)
                self._out.text(choice["text"])
                self._shown_any = True

    def _echo(self, item: BatchItem) -> None:
        self._out.echo(f"{item.prompt}\n" if self._chat else str(item.prompt))
