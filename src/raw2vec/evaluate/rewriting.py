"""Reconstruction of texts: how many words of a text survive the way through its code?"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from raw2vec.errors import BadInput
from raw2vec.evaluate.base import MODEL, Columns, Measured, Protocol, Report, Values

Rewrite = Callable[[Sequence[str]], tuple[Sequence[str], int]]
"""Texts to their reconstructions, and the width of the codes in between."""


class Rewriting(Protocol):
    """Texts and what their codes bring back, word by word, words being what white space parts.

    `word_error_rate` is the least number of words put in, left out or changed that makes a text of its reconstruction
    (Levenshtein 1966), over the words that all the texts have; `exact` the share of texts that come back to the letter.
    Baselines learn from `train`; without there is none, for the measured texts themselves would be found.
    """

    name = "reconstruction"
    roles = ("input",)

    def run(self, model: Rewrite, columns: Columns, seed: int = 0, train: Columns | None = None) -> Report:
        started = perf_counter()
        (texts,) = self.read(columns)
        rebuilt, width = model(texts)
        contestants = {MODEL: _measured(texts, rebuilt)}
        if train is not None:
            (known,) = self.read(train)
            for name, learn in self.baselines.items():
                contestants[name] = _measured(texts, learn(known, width)(texts))
        notes = ["no training texts were at hand for a baseline to learn from"] if train is None else []
        return self.report(contestants, "word_error_rate", started, seed, notes)


def nearest_text(
    encoder: Callable[[Sequence[str], int], Callable[..., Any]], texts: Sequence[str], width: int
) -> Callable[[Sequence[str]], list[str]]:
    """A decoder that knows no text but those it has seen: the nearest by the vectors of a baseline of that width."""
    encode = encoder(texts, width)
    known = encode(texts, "input")
    return lambda asked: [texts[place] for place in np.asarray(encode(asked, "input") @ known.T).argmax(axis=1)]


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """The least number of words put in, left out or changed that makes `a` of `b`."""
    row = np.arange(len(b) + 1)
    for place, word in enumerate(a, 1):
        changed = row[:-1] + np.array([word != other for other in b], dtype=np.int64)
        best = np.concatenate([[place], np.minimum(changed, row[1:] + 1)])
        # What is put in to the right costs one a word: the running minimum of cost less place.
        steps = np.arange(len(b) + 1)
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def _measured(texts: Sequence[str], rebuilt: Sequence[str]) -> Measured:
    if len(rebuilt) != len(texts):
        raise BadInput(f"The model gave {len(rebuilt)} reconstructions of {len(texts)} texts.")
    pairs = list(zip(texts, rebuilt, strict=True))
    wrong = np.array([edits(text.split(), other.split()) for text, other in pairs], dtype=np.float64)
    words = np.array([len(text.split()) for text in texts], dtype=np.float64)
    exact = np.array([text == other for text, other in pairs], dtype=np.float64)

    def of(counts: np.ndarray) -> Values:
        return {
            "word_error_rate": counts @ wrong / np.maximum(counts @ words, 1),
            "exact": counts @ exact / counts.sum(axis=1),
        }

    return Measured(len(texts), of)
