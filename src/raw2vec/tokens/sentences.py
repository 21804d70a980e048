"""Where a text may be cut: after the tokens that end a sentence."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

_SOME = 10_000  # texts of which the usual length is told
_SENTENCE_END = re.compile(r"[.!?。！？…Ċ]$")  # Ċ is how byte-level pieces write a new line
_SHORTEST = 3  # tokens of a sentence that stands by itself


def chunks(ends: NDArray[np.bool_], room: int) -> list[tuple[int, int]]:
    """Consecutive spans of at most `room` tokens, cut after a sentence end where the second half of a span has one."""
    spans, start = [], 0
    while len(ends) - start > room:
        half = start + (room + 1) // 2
        late = ends[half : start + room].nonzero()[0]
        stop = half + int(late[-1]) + 1 if len(late) else start + room
        spans.append((start, stop))
        start = stop
    return [*spans, (start, len(ends))]


def sentence_spans(ends: NDArray[np.bool_], room: int) -> list[tuple[int, int]]:
    """The sentences of a text by the tokens at which one ends, (T,); those of more than `room` tokens in several parts.

    One of fewer than three tokens goes with the next: "3." or "Mr."
    """
    stops = [*(ends.nonzero()[0] + 1).tolist(), len(ends)]
    spans, start = [], 0
    for stop in stops:
        if stop - start >= _SHORTEST or (stop == len(ends) and stop > start):
            spans += [(start + a, start + b) for a, b in chunks(ends[start:stop], room)]
            start = stop
    return spans


def sentence_ends(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Whether each token ends a sentence, (V,) bool: by its last character, which is near enough to cut there."""
    ends = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True), np.bool_)
    ends[[i for piece, i in tokenizer.get_vocab().items() if i < len(ends) and _SENTENCE_END.search(piece)]] = True
    return ends


def word_beginnings(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Whether each token begins a word after a space, (V,) bool; all of them, where the pieces do not tell."""
    begins = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True), np.bool_)
    begins[[i for piece, i in tokenizer.get_vocab().items() if i < len(begins) and piece[:1] in "ĠĊ▁"]] = True
    return begins if begins.any() else ~begins


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
