"""What a translator is not shown of a text, and how it comes into what was written: placeholders, unreadable words."""

from __future__ import annotations

from typing import NamedTuple

from raw2vec.raw import Text
from raw2vec.recipe import Recipe
from raw2vec.tokens.placeholders import Marked, Restored, marked, missing, restored
from raw2vec.tokens.unknown import Word, readable, with_words
from raw2vec.use.base import is_empty


class Protected(NamedTuple):
    """What of a text is shown. `marked`: with marks for its placeholders; words: what cannot be read, taken out."""

    text: str
    marked: Marked
    words: list[Word]

    def missing(self, translation: str) -> int:
        """How many of the placeholders' marks a translation has not, or has too often."""
        return missing(with_words(translation, self.words), self.marked) if self.marked.pieces else 0

    def restored(self, translation: str) -> Restored:
        """The translation with everything in it."""
        whole = with_words(translation, self.words) if self.words else translation
        return restored(whole, self.marked) if self.marked.pieces else Restored(whole, [])


def protected(text: str, raw: Text, recipe: Recipe) -> Protected:
    """The text as the recipe wants it shown."""
    shown = marked(text) if recipe.placeholders else Marked(text, [])
    if raw.readable is None or is_empty(text):
        return Protected(shown.text, shown, [])
    found = readable(shown.text, raw.readable)
    return Protected(found.text, shown, found.words)
