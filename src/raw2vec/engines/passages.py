"""Texts that are always there, of many lengths: to hold an engine against its model, and to find ranges for int8."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

from raw2vec.errors import BadInput
from raw2vec.raw import Raw, Text

PROBES = (
    "A text of a few words.",
    "a",
    "Ein zweiter Text, auf Deutsch, und 数字.",
    "Le chat dort; naïve ½ €.",
    "How do I reset my password?",
    "def area(width: float, height: float) -> float:\n    return width * height",
)
_WORDS = (4, 7, 12, 20, 35, 60, 110, 200)  # of the passages, in turn


@cache
def passages(count: int) -> tuple[str, ...]:
    """So many passages of Python's own manual, evenly spread, which is English prose with some code."""
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some systems leave it out
        return PROBES
    words = " ".join(topics[name] for name in sorted(topics)).split()
    step = (len(words) - max(_WORDS)) // count
    return tuple(" ".join(words[place * step :][: _WORDS[place % len(_WORDS)]]) for place in range(count))


def probes(raw: Raw, golden: list[object]) -> list[object]:
    """What an engine is asked beside its model: the model's own golden inputs, and of texts those that are always
    there."""
    return [*golden[:32], *taken(raw, [*PROBES, *passages(16)])] if isinstance(raw, Text) else golden[:32]


def taken(raw: Text, texts: list[str]) -> list[str]:
    """Those of the texts that are not too long, where that is an error."""
    if raw.long != "error":
        return texts
    kept = []
    for text in texts:
        with suppress(BadInput):
            raw.windows([text])
            kept.append(text)
    return kept
