"""Words that a translator cannot read, taken out before it reads and put back into what it wrote.

They hold characters that no text it learned from has: another script, an emoji, a name with a rare letter; or they are
numbers that it never met, or addresses. Pieces and bytes would spell them, but a model that never met these together
writes anything for them; a person would copy the word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

_CLOSING = re.compile(r"\s*[^\w\s]+\s*$")
_STOPS = ".,;:!?…"
_NUMBER = re.compile(r"\d[\d.,:/]*\d")  # of two digits or more
_MOST = 10_000  # different numbers; who learned from more has seen how numbers are told


class Known(NamedTuple):
    """The characters and the numbers that may be read; numbers None: all."""

    characters: frozenset[str]
    numbers: frozenset[str] | None = None

    def all_of(self, word: str) -> bool:
        """Whether nothing in the word is strange."""
        told = self.numbers is None or self.numbers.issuperset(_NUMBER.findall(word))
        return told and self.characters.issuperset(word) and not _is_address(word)


class Word(NamedTuple):
    """A word that was taken out: `place` is the share of the other words that stand before it.

    closed: whether it was the last one, and punctuation came after it.
    """

    text: str
    place: float
    closed: bool


class Readable(NamedTuple):
    """A text without the words that cannot be read, and these. A text that holds no other word is empty then."""

    text: str
    words: list[Word]


def readable(text: str, known: Known) -> Readable:
    """The text without what is not `known`, and without anything where it has no word at all. White space is known.

    A strange letter makes its whole word strange, but for a stop after it; a strange sign only itself.
    """
    if _words(text) and all(map(known.all_of, text.split())):
        return Readable(text, [])
    kept: list[str] = []
    taken: list[tuple[str, str]] = []  # each with what is kept before it
    for chunk in text.split():
        glued = False  # whether a stop is to go to the word before, that before it having been taken out
        for piece in _pieces(chunk, known):
            word = piece.rstrip(_STOPS) or piece
            if not known.all_of(word):
                taken.append((word, " ".join(kept)))
                piece, glued = piece[len(word) :], True
            if piece and glued and kept and not any(map(str.isalnum, piece)):
                kept[-1] += piece
            elif piece:
                kept.append(piece)
    whole = " ".join(kept)
    if not (count := _words(whole)):
        return Readable("", [Word(text.strip(), 0.0, False)])
    shares = [_words(before) / count for _, before in taken]
    closed = [share == 1 and before != whole for share, (_, before) in zip(shares, taken, strict=True)]
    words = zip((word for word, _ in taken), shares, closed, strict=True)
    return Readable(whole, [Word(*word) for word in words])


def with_words(translation: str, words: list[Word]) -> str:
    """The translation with the words in it, each where as large a share of it stands before it as in the source."""
    closing = _CLOSING.search(translation)
    end = closing.start() if closing else len(translation)
    told = translation[:end].split(" ") if end else []
    count = len(told)
    after: list[str] = []
    for word in reversed(words):
        if word.place == 1 and not word.closed:
            after.insert(0, word.text)
        else:
            told.insert(round(word.place * count), word.text)
    return " ".join([" ".join(told) + translation[end:], *after]).strip(" ")


def _words(text: str) -> int:
    """How many words it has, and not signs alone."""
    return sum(any(map(str.isalnum, word)) for word in text.split())


def _is_address(word: str) -> bool:
    """Whether it looks like a place on the net or a mailbox; a search for them by a pattern would be quadratic."""
    name, _, host = word.partition("@")
    return "://" in word or "www." in word or bool(name and "." in host.rstrip(_STOPS))


def _pieces(chunk: str, known: Known) -> list[str]:
    """What has no white space in it, parted round strange signs; what is strange by more than these is one piece."""
    odd = [letter not in known.characters for letter in chunk]
    letters = any(strange and letter.isalnum() for letter, strange in zip(chunk, odd, strict=True))
    if letters or not any(odd) or _is_address(chunk):
        return [chunk]
    runs = groupby(zip(chunk, odd, strict=True), key=lambda pair: pair[1])
    return ["".join(letter for letter, _ in run) for _, run in runs]


class Met:
    """What of numbered texts that pass by will be known."""

    def __init__(self) -> None:
        self.characters: set[str] = set()
        self.numbers: set[str] = set()

    def passing(self, pairs: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """The texts as they come."""
        for number, text in pairs:
            if isinstance(text, str):
                self.characters.update(text)
                if len(self.numbers) <= _MOST:
                    self.numbers.update(_NUMBER.findall(text))
            yield number, text

    def told(self) -> dict[str, str]:
        """As settings: characters in a row, numbers with space between, or "any", or "none"."""
        numbers = "any" if len(self.numbers) > _MOST else " ".join(sorted(self.numbers)) or "none"
        return {"characters": "".join(sorted(self.characters)), "numbers": numbers}


def known(characters: str, numbers: str) -> Known:
    """What `Met` told; numbers "": they were not counted, and all are read."""
    return Known(frozenset(characters), None if numbers in ("", "any") else frozenset(numbers.split()))
