"""An answer as it comes: laid out for a person on a terminal, and as it is for anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from baichuan_cli.cli.output import Output

if TYPE_CHECKING:
    from rich.live import Live

#: Control characters other than tab and line feed; a terminal would obey them.
_CONTROL = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


class View(Protocol):
    """Where an answer is shown."""

    def feed(self, text: str) -> None:
        """Show some more of it."""

    def finish(self) -> None:
        """Show the rest, and end its last line."""


class NoView:
    """For JSON, which has the whole answer in it."""

    def feed(self, text: str) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""


class PlainView:
    """The text itself."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._last = "\n"

    def feed(self, text: str) -> None:
        """Write some more of it, at once."""
        self._out.text(text, end="")
        self._last = text[-1:] or self._last

    def finish(self) -> None:
        """End the last line."""
        if self._last != "\n":
            self._out.text("")


class MarkdownView:
    """Markdown on a terminal. Only a table that is still arriving is drawn more than once."""

    def __init__(self, out: Output) -> None:
        from baichuan_cli.chat.markdown import MarkdownStream

        self._out = out
        self._stream = MarkdownStream()
        self._live: Live | None = None

    def feed(self, text: str) -> None:
        """Show what is settled by some more of it."""
        finished = list(self._stream.feed(text.translate(_CONTROL), self._out.width))
        if finished:
            self._erase()
        for content in finished:
            self._out.laid_out(content)
        if table := self._stream.unfinished:
            if self._live is None:
                self._live = self._out.live()
                self._live.start()
            self._live.update(table, refresh=True)

    def finish(self) -> None:
        """Show the rest."""
        self._erase()
        for content in self._stream.finish(self._out.width):
            self._out.laid_out(content)

    def _erase(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def view(out: Output) -> View:
    """Return the view for whoever reads the data."""
    if out.json_mode:
        return NoView()
    return MarkdownView(out) if out.interactive else PlainView(out)
