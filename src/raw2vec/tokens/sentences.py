"""Where a text may be cut: after the tokens that end a sentence."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

_SOME = 10_000  # texts of which the usual length is told
_SENTENCE_END = re.compile(r"[.!?。！？…Ċ]$")  # Ċ is how byte-level pieces write a new line
_SPACES, _GOES_ON = "ĠĊ▁", "##"  # how pieces begin: after a space, or within a word
_LOOKED = 8  # tokens of a word: an abbreviation has fewer
# One letter, as in U.S., p.m., J. Smith; and usual ones: a text that is cut once too rarely loses nothing.
_ABBREVIATION = re.compile(
    r"(?<!\w)(?:\w|mrs?|ms|drs?|prof|st|sr|jr|rev|gen|sen|rep|gov|col|lt|sgt|capt|hon|nos?|vs|etc|e\.?g|i\.?e|cf|al|figs?|"
    r"vol|pp|eds?|approx|dept|inc|ltd|co|corp|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mmes?|mlles?|mm|art|av|bd|"
    r"env|nr|bzw|usw|ca|str|sra|srta|dña|uds?|núm|pág)\.$",
    re.IGNORECASE,
)
_SHORTEST = 3  # tokens of a sentence that stands by itself


def chunks(ends: NDArray[np.bool_], words: NDArray[np.bool_], room: int) -> list[tuple[int, int]]:
    """Consecutive spans of at most `room` tokens, each cut in its second half: after the last end of a sentence there,
    else of a word, else where it is full. ends, words (T,): whether either ends with a token."""
    spans, start = [], 0
    while len(ends) - start > room:
        half = start + (room + 1) // 2
        late = (cuts[half : start + room].nonzero()[0] for cuts in (ends, words))
        stop = next((half + int(found[-1]) + 1 for found in late if len(found)), start + room)
        spans.append((start, stop))
        start = stop
    return [*spans, (start, len(ends))]


def sentence_spans(ends: NDArray[np.bool_], words: NDArray[np.bool_], room: int) -> list[tuple[int, int]]:
    """The sentences of a text by the tokens at which one ends, (T,); those of more than `room` tokens in several parts.

    One of fewer than three tokens goes with the next: "3." or "Oh!"
    """
    stops = [*(ends.nonzero()[0] + 1).tolist(), len(ends)]
    spans, start = [], 0
    for stop in stops:
        if stop - start >= _SHORTEST or (stop == len(ends) and stop > start):
            spans += [(start + a, start + b) for a, b in chunks(ends[start:stop], words[start:stop], room)]
            start = stop
    return spans


class Cuts:
    """After which tokens of a text a sentence ends, or a word; by the pieces, which is near enough to cut there."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer, size = tokenizer, tokenizer.get_vocab_size(with_added_tokens=True)
        self._ends, self._opens = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        held = [(piece, i) for piece, i in tokenizer.get_vocab().items() if i < size]
        self._ends[[i for piece, i in held if _SENTENCE_END.search(piece)]] = True
        self._opens[[i for piece, i in held if piece[:1] in _SPACES]] = True
        self._spaced = bool(self._opens.any())
        if not self._spaced:  # WordPiece's do not tell of spaces, but of what goes on
            self._opens[[i for piece, i in held if not piece.startswith(_GOES_ON)]] = True

    def words(self, ids: list[int]) -> NDArray[np.bool_]:
        """(T,): whether a word ends with the token; it may, where pieces do not tell."""
        return np.append(self._opens[ids[1:]], bool(ids)) if ids else np.zeros(0, np.bool_)

    def sentences(self, ids: list[int]) -> NDArray[np.bool_]:
        """(T,): whether a sentence ends with the token: with a word that ends so, and is no abbreviation."""
        ends = self._ends[ids] & self.words(ids)
        for place in ends.nonzero()[0].tolist():
            ends[place] = not _ABBREVIATION.search(self._word(ids, place)) and not self._within_number(ids, place)
        return ends

    def _within_number(self, ids: list[int], place: int) -> bool:
        """Whether a point between digits is no end: it cannot be told from one where pieces do not tell of spaces."""
        if self._spaced or not 0 < place < len(ids) - 1:
            return False
        return all(str(self._tokenizer.id_to_token(ids[at])).strip("#").isdigit() for at in (place - 1, place + 1))

    def _word(self, ids: list[int], place: int) -> str:
        """The word that ends with a token; with what is before it, where that is a sign alone."""
        told = ""
        for start in range(place, max(place - _LOOKED, -1), -1):
            piece = self._tokenizer.id_to_token(ids[start]) or ""
            told = piece.removeprefix(_GOES_ON).lstrip(_SPACES) + told
            if self._opens[ids[start]] and any(map(str.isalnum, told)):
                break
        return told


def exceeded(counts: Iterable[int]) -> int:
    """What one in a thousand of these exceeds."""
    ranked = sorted(counts)
    return ranked[len(ranked) - 1 - len(ranked) // 1000] if ranked else 0


def kept(pairs: Iterable[tuple[int, Any]], some: list[str]) -> Iterator[tuple[int, Any]]:
    """Numbered texts as they come; of the first _SOME all, and of ever fewer after them one, are kept in `some`."""
    for place, (number, text) in enumerate(pairs):
        if isinstance(text, str) and (place < _SOME or place % (place // _SOME) == 0):
            some.append(text)
        yield number, text
