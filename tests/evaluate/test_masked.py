"""Masked prediction: token means by hand, the unigram baseline by its entropy."""

import numpy as np
import pytest

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate import MASKED, Guesses

COLUMNS = {"input": ["a", "b", "c"]}
GUESSES = Guesses(
    items=np.array([0, 0, 0, 2]),
    tokens=np.array([5, 5, 5, 7]),
    correct=np.array([True, True, False, False]),
    nats=np.array([0.1, 0.2, 1.0, 2.7]),
)


def test_metrics_by_hand():
    report = MASKED.run(lambda texts: GUESSES, COLUMNS)
    assert report.protocol == "masked/1"
    assert report.metrics == pytest.approx({"accuracy": 0.5, "nats": 1.0, "perplexity": np.e})
    assert report.items == 2  # the text without a masked token is no item
    assert "4 tokens were masked" in report.notes


def test_the_unigram_baseline_is_the_entropy_of_the_tokens():
    report = MASKED.run(lambda texts: GUESSES, COLUMNS)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    expected = {"accuracy": 0.75, "nats": entropy, "perplexity": np.exp(entropy)}
    assert report.baselines["unigram"] == pytest.approx(expected)
    assert any(note.startswith("the model does not beat unigram (nats 1.000 against 0.562)") for note in report.notes)


def test_the_unigram_baseline_from_the_training_data():
    frequencies = np.array([0, 0, 0, 0, 0, 2, 0, 9])
    report = MASKED.run(lambda texts: GUESSES, COLUMNS, frequencies=frequencies)
    cost = -(3 * np.log(3 / 19) + np.log(10 / 19)) / 4
    assert report.baselines["unigram"]["nats"] == pytest.approx(cost)
    assert report.baselines["unigram"]["accuracy"] == 0.25
    with pytest.raises(BadInput, match="Token 7 is masked, but frequencies were given for 3 only"):
        MASKED.run(lambda texts: GUESSES, COLUMNS, frequencies=np.ones(3))


def test_nothing_masked_and_nothing_finite():
    empty = Guesses(*(np.array([], dtype=kind) for kind in (int, int, bool, float)))
    with pytest.raises(BadInput, match="Not one token of the 3 texts was masked"):
        MASKED.run(lambda texts: empty, COLUMNS)
    with pytest.raises(NonFinite, match="item 2 costs inf nats"):
        MASKED.run(lambda texts: GUESSES._replace(nats=np.array([0.1, 0.2, 0.3, np.inf])), COLUMNS)
