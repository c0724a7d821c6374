"""Break lines between words, and between Chinese characters, while the text is still arriving.

Nothing that was handed out is ever taken back: a word waits until it is known where it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

#: What a row must not begin with, and what it must not end with, in Chinese typesetting (GB/T 15834).
_NOT_FIRST = frozenset("，。、；：？！）》」』】〉〕…—～”’·,.;:?!)]}%")
_NOT_LAST = frozenset("（《「『【〈〔“‘([{")


class Wrapper:
    """One line of an answer at a time, in rows of a given width."""

    def __init__(self) -> None:
        from rich.text import Text

        self._word: list[Text] = []  # characters
        self._space: list[Text] = []
        self._column = 0
        self._hanging = Text()
        self._begun = False

    def begin(self, prefix: Text, hanging: Text) -> Text:
        """Begin a line.

        Args:
            prefix: what stands before its first row.
            hanging: what stands before every further one.
        """
        self._word, self._space = [], []
        self._column, self._hanging, self._begun = prefix.cell_len, hanging, False
        return prefix

    def add(self, text: Text, width: int) -> Text:
        """Return what can be shown of the line after some more of it, its line breaks included.

        Args:
            width: columns of a row.
        """
        from rich.text import Text

        shown = Text()
        for character in text.divide(range(1, len(text))):
            if character.plain.isspace():
                shown.append_text(self._flush(width))
                self._space.append(character)
                continue
            if self._word and _may_break(self._word[-1], character):
                shown.append_text(self._flush(width))
            self._word.append(character)
        return shown

    def end(self, width: int) -> Text:
        """Return the rest of the line and its line feed."""
        return self._flush(width).append("\n")

    def _flush(self, width: int) -> Text:
        """Return the word that was waiting, on a new row where this one has no room for it."""
        from rich.text import Text

        shown = Text()
        if not self._word:
            return shown
        size = sum(character.cell_len for character in self._word)
        space = sum(character.cell_len for character in self._space)
        if self._begun and self._column + space + size > width:
            self._break(shown)
        else:
            for character in self._space:
                shown.append_text(character)
            self._column += space
        for character in self._word:
            if self._begun and self._column + character.cell_len > width:
                self._break(shown)
            shown.append_text(character)
            self._column += character.cell_len
            self._begun = True
        self._word, self._space = [], []
        return shown

    def _break(self, shown: Text) -> None:
        shown.append("\n").append_text(self._hanging)
        self._column = self._hanging.cell_len
        self._begun = False


def _may_break(left: Text, right: Text) -> bool:
    """Tell whether a row may end between two characters that stand side by side."""
    if right.cell_len == 0 or left.plain == "\u200d":  # combining marks, and parts of one emoji
        return False
    if right.plain in _NOT_FIRST or left.plain in _NOT_LAST:
        return False
    return left.cell_len == 2 or right.cell_len == 2
