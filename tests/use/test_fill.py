"""Filling in: what masked prediction makes of texts it has not seen."""

from collections.abc import Callable

import numpy as np
import pytest

from raw2vec.errors import BadInput
from raw2vec.system import Raw2Vec
from raw2vec.use.fill import fill
from small import texts

Fit = Callable[..., Raw2Vec]


def test_each_hidden_token_with_its_text_its_guess_and_its_cost(fitted: Fit) -> None:
    parts = fitted("masked", "transformer", training__steps=150, training__learning_rate=0.01).parts_
    held = texts(80, seed=5)
    items, tokens, right, nats = fill(parts, held)
    assert len(items) == len(tokens) == len(right) == len(nats)
    assert set(items.tolist()) == set(range(80))
    for item, token in zip(items, tokens, strict=True):
        assert token in parts.raw.windows([held[item]]).ragged.values
    share = len(items) / int(parts.raw.windows(held).tokens.sum())
    assert 0.2 < share < 0.4
    assert nats.mean() < 0.9 * np.log(parts.raw.size), "better than knowing nothing"
    assert (nats[right] < np.log(parts.raw.size)).all()
    assert nats[right].mean() < nats[~right].mean()


def test_the_seed_chooses_what_is_hidden(fitted: Fit) -> None:
    parts = fitted("masked", "transformer").parts_
    once, twice, other = (fill(parts, texts(30), seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(once, twice, strict=True))
    assert len(once[0]) != len(other[0]) or not np.array_equal(once[1], other[1])


def test_a_model_that_never_learned_it_says_so(fitted: Fit) -> None:
    with pytest.raises(BadInput, match="not trained to fill in masked tokens"):
        fill(fitted().parts_, texts(3))
