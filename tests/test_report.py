"""The report and the model card: what a fit has to show for itself."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from raw2vec.report import FEWEST, complete, cut_in_two
from raw2vec.system import Raw2Vec
from small import recipe, rows

Fit = Callable[..., Raw2Vec]


@pytest.mark.parametrize(
    ("objective", "protocol"), [("contrastive", "retrieval"), ("masked", "retrieval"), ("supervised", "classification")]
)
def test_a_report_has_scores_beside_baselines(fitted: Fit, objective: str, protocol: str) -> None:
    report = fitted(objective, training__hold_out=0.4).report
    assert str(report["protocol"]).startswith(protocol)
    assert report["metrics"]
    assert report["baselines"]
    for metrics in (report["metrics"], *report["baselines"].values()):
        assert all(np.isfinite(value) for value in metrics.values())
    assert report["items"] == 120
    assert FEWEST <= report["held_out"] < 120
    assert report["steps"] == 12
    assert report["history"][-1]["step"] == 12
    assert {"seconds", "seed", "data", "hardware", "versions", "health", "intervals", "truncated"} <= set(report)
    json.dumps(report, allow_nan=False)


def test_too_little_held_out_claims_nothing() -> None:
    for share in (0.0, 0.05):
        model = Raw2Vec(recipe=recipe(training__hold_out=share, training__steps=2)).fit(rows())
        assert model.report["metrics"] == {}
        assert model.report["baselines"] == {}
        assert "too little was held out" in model.report["notes"][0]
        assert "Held-out scores" not in model._card


def test_golden_vectors_are_those_of_the_model(fitted: Fit) -> None:
    model = fitted()
    assert model.parts_.golden is not None
    inputs, vectors = model.parts_.golden
    assert 1 <= len(inputs) <= 4
    assert np.abs(model.encode(inputs) - vectors).max() < 1e-6


def test_the_card_says_what_it_is_and_how_to_use_it(fitted: Fit) -> None:
    card = fitted(training__hold_out=0.4)._card
    assert card.startswith("---\nlibrary_name: raw2vec\n")
    assert "# A dense encoder of text" in card
    assert "Trained on 120 rows" in card
    assert 'raw2vec.load("' in card
    assert "| this model |" in card
    lines = [line for line in card.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1, "a table's rows are of one width"


def test_the_same_rows_have_the_same_fingerprint_in_the_report() -> None:
    data = {Raw2Vec(recipe=recipe(training__steps=1)).fit(rows(n)).report["data"] for n in (60, 60, 61)}
    assert len(data) == 2


def test_rows_with_a_hole_are_left_out() -> None:
    held = {"input": ["a", "", None, "d", "e"], "label": [1, 2, 3, None, 0]}
    assert complete(held) == {"input": ["a", "e"], "label": [1, 0]}
    assert complete({}) == {}


def test_a_text_is_cut_by_words() -> None:
    assert cut_in_two("one two three four five six seven") == ("one two three", "four five six seven")
    assert cut_in_two("one two three four five") is None
    assert cut_in_two("") is None
