"""Placeholders: the pieces of a message that a translation has to hold as they are, out of a translator's reach.

They are what programs fill in or obey: `%s`, `%(name)d`, `%1`, `{name}`, `{{ name }}`, `${name}`, `<b>`, `&nbsp;`. A
model that spells is likely to misspell names that it never met, and one wrong letter makes the message useless; so it
is shown a mark in the place of each, which it has seen in thousands of messages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

MARKS = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"  # one token each, and rare: a text that has them itself keeps them as pieces
PLACEHOLDER = re.compile(
    r"%(?:\(\w+\)|\d+\$)?[-+#0]*(?:\d+|\*)?(?:\.\d+)?(?:hh?|ll?|z)?[diouxXeEfFgGcsra]"
    r"|%%|%\d+"
    r"|\{\{[^{}]*\}\}|\$?\{[^{}\s]*\}"
    r"|</?[A-Za-z][^<>]*>"
    r"|&(?:\w+|#\d+);"
    rf"|[{MARKS}]"
)


class Marked(NamedTuple):
    """A text with marks for its placeholders, and the `pieces` that they stand for: MARKS[i] for pieces[i]."""

    text: str
    pieces: list[str]


class Restored(NamedTuple):
    """A text with its placeholders back, and those that had to be added at its end since their marks were lost."""

    text: str
    lost: list[str]


def marked(text: str) -> Marked:
    """The text with a mark for each placeholder, equal ones alike. Those past the last mark stay as they are."""
    # Marks that the text has itself come first: all of them have to be pieces, or they could not be told from ours.
    pieces = sorted(dict.fromkeys(PLACEHOLDER.findall(text)), key=lambda piece: piece not in MARKS)[: len(MARKS)]
    return Marked(with_marks(text, pieces), pieces)


def marked_pair(source: str, target: str) -> tuple[str, str]:
    """A text and its translation with the same marks for what both hold equally often; all else stays as it is.

    So the model never sees a mark that is to come out as nothing: `<file>` in a message may be a word to translate.
    """
    counts = Counter(PLACEHOLDER.findall(target))
    held = Counter(PLACEHOLDER.findall(source))
    pieces = [piece for piece, count in held.items() if counts[piece] == count][: len(MARKS)]
    return with_marks(source, pieces), with_marks(target, pieces)


def missing(text: str, source: Marked) -> int:
    """How many marks of the source a translation has not, or has too often."""
    there, wanted = _marks(text), _marks(source.text)
    return ((wanted - there) + (there - wanted)).total()


def restored(text: str, source: Marked) -> Restored:
    """A translation of the source with the pieces for its marks, each as often as the source has it.

    What is one too many goes; what is missing is put at the end, where a person finds it.
    """
    wanted = _marks(source.text)

    def back(found: re.Match[str]) -> str:
        if not wanted[found.group()]:
            return ""
        wanted[found.group()] -= 1
        return source.pieces[MARKS.index(found.group())]

    whole = re.sub(f"[{MARKS}]", back, text)
    lost = [source.pieces[MARKS.index(mark)] for mark in wanted.elements()]
    return Restored(" ".join([whole, *lost]) if lost else whole, lost)


def kept(source: str, translation: str) -> bool:
    """Whether a translation has the very placeholders of its source, each as often."""
    return Counter(PLACEHOLDER.findall(source)) == Counter(PLACEHOLDER.findall(translation))


def with_marks(text: str, pieces: Sequence[str]) -> str:
    """The text with MARKS[i] wherever it has pieces[i] as a placeholder."""
    marks = dict(zip(pieces, MARKS, strict=False))
    return PLACEHOLDER.sub(lambda found: marks.get(found.group(), found.group()), text)


def without_marks(text: str, pieces: Sequence[str]) -> str:
    """The way back from `with_marks`; marks of no piece stay."""
    return "".join(dict(zip(MARKS, pieces, strict=False)).get(mark, mark) for mark in text)


def _marks(text: str) -> Counter[str]:
    return Counter(mark for mark in text if mark in MARKS)
