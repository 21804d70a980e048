"""Masked prediction: how well are hidden tokens guessed, beside guessing by how common each token is?"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate.base import MODEL, Columns, Measured, Protocol, Report, Values


class Guesses(NamedTuple):
    """M masked tokens: the `items` they stand in, the true `tokens`, whether each was `correct`, and its cost in nats.

    All (M,); nats are minus the logarithm of the probability that the model gave the true token.
    """

    items: np.ndarray
    tokens: np.ndarray
    correct: np.ndarray
    nats: np.ndarray


Fill = Callable[[Sequence[str]], Guesses]


class Masked(Protocol):
    """Texts with some tokens hidden: accuracy, nats a masked token, and their exponential, the perplexity.

    A token stands in a text, so texts are what is resampled. The baseline always says the commonest token, and gives
    each token the probability it is known to have: from `frequencies` (V,), its count in the training data plus one, or
    else from the masked tokens themselves, which no unigram model can do better than.
    """

    name = "masked"
    roles = ("input",)

    def run(self, model: Fill, columns: Columns, seed: int = 0, frequencies: np.ndarray | None = None) -> Report:
        started = perf_counter()
        (texts,) = self.read(columns)
        guesses = Guesses(*map(np.asarray, model(texts)))
        if not len(guesses.tokens):
            raise BadInput(f"Not one token of the {len(texts)} texts was masked, so there is nothing to measure.")
        bad = np.flatnonzero(~np.isfinite(guesses.nats))
        if len(bad):
            raise NonFinite(f"A masked token of item {guesses.items[bad[0]]} costs {guesses.nats[bad[0]]} nats.")
        contestants = {MODEL: _measured(guesses), "unigram": _measured(_unigram(guesses, frequencies))}
        notes = [f"{len(guesses.tokens)} tokens were masked"]
        if frequencies is None:
            notes.append("the unigram baseline knows the masked tokens' own frequencies, the best that any could do")
        return self.report(contestants, "nats", started, seed, notes)


def _unigram(guesses: Guesses, frequencies: np.ndarray | None) -> Guesses:
    """The same tokens as guessed by frequency alone."""
    counts = np.bincount(guesses.tokens) if frequencies is None else np.asarray(frequencies, dtype=np.float64) + 1
    if guesses.tokens.max() >= len(counts):
        raise BadInput(f"Token {guesses.tokens.max()} is masked, but frequencies were given for {len(counts)} only.")
    nats = -np.log(counts[guesses.tokens] / counts.sum())
    return guesses._replace(correct=guesses.tokens == counts.argmax(), nats=nats)


def _measured(guesses: Guesses) -> Measured:
    """Token means as ratios of per-item sums; items without a masked token are left out."""
    _, item = np.unique(guesses.items, return_inverse=True)
    tokens, correct, nats = (
        np.bincount(item, weights=weights).astype(np.float64)
        for weights in (np.ones(len(item)), guesses.correct.astype(np.float64), guesses.nats.astype(np.float64))
    )

    def of(counts: np.ndarray) -> Values:
        total = counts @ tokens
        cost = counts @ nats / total
        return {"accuracy": counts @ correct / total, "nats": cost, "perplexity": np.exp(cost)}

    return Measured(len(tokens), of)
