"""Anomaly: metrics are scikit-learn's, whole and resampled, ties share their places, and baselines find what is odd."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate import ANOMALY
from raw2vec.evaluate.anomaly import _measured

DRAW = np.random.default_rng(0)
NORMAL = DRAW.normal(size=(200, 2)) @ DRAW.normal(size=(2, 8))
ODD = DRAW.normal(size=(20, 8)) * 3
COLUMNS = {"input": np.concatenate([NORMAL, ODD]), "label": [0] * 200 + [1] * 20}


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 40), st.integers(1, 9), st.integers(0, 999))
def test_metrics_are_scikit_learns_whole_and_resampled(items, values, seed):
    draw = np.random.default_rng(seed)
    odd = np.arange(items) < 2
    scores = draw.integers(0, values, items).astype(float)  # with many ties
    counts = np.stack([np.ones(items), 1 + draw.multinomial(items, np.full(items, 1 / items))]).astype(float)
    found = _measured(scores, odd).of(counts)
    for row, weights in enumerate(counts):
        assert found["roc_auc"][row] == pytest.approx(roc_auc_score(odd, -scores, sample_weight=weights))
        expected = average_precision_score(odd, -scores, sample_weight=weights)
        assert found["average_precision"][row] == pytest.approx(expected)


def test_recall_at_contamination_by_hand():
    odd = np.array([True, False, True, False, True, False])
    recall = "recall@contamination"
    assert _measured(np.arange(6.0), odd).metrics()[recall] == pytest.approx(2 / 3)  # the first three are called
    # Two anomalies on top, then four items of one score that share the one place left: a quarter each.
    assert _measured(np.array([0.0, 5, 0, 5, 5, 5]), odd).metrics()[recall] == pytest.approx((2 + 1 / 4) / 3)
    assert _measured(np.zeros(6), odd).metrics()[recall] == pytest.approx(1 / 2)
    # The metric depends on the order only, and a resample without anomalies has none.
    found = _measured(np.arange(6.0), odd).of(np.array([[0.0, 1, 0, 1, 0, 1]]))
    assert all(np.isnan(value).all() for value in found.values())


def test_baselines_find_what_is_odd_and_a_blind_model_is_told():
    blind = ANOMALY.run(lambda items: np.zeros(len(items)), COLUMNS)
    assert blind.protocol == "anomaly/1"
    assert blind.metrics["roc_auc"] == 0.5
    assert blind.baselines["isolation forest"]["roc_auc"] > 0.8
    assert blind.baselines["PCA error"]["roc_auc"] > 0.8
    assert any("does not beat PCA error (roc_auc 0.500" in note for note in blind.notes)
    assert "20 of 220 items are anomalies" in blind.notes
    assert any("anomalies among them" in note for note in blind.notes)
    seeing = ANOMALY.run(lambda items: np.arange(len(items), 0, -1), COLUMNS, train={"input": NORMAL})
    assert seeing.metrics == pytest.approx(dict.fromkeys(seeing.metrics, 1.0))
    assert seeing.baselines["PCA error"]["roc_auc"] > 0.99  # it has seen the normal plane alone
    assert not any("anomalies among them" in note for note in seeing.notes)


def test_few_anomalies_leave_some_resamples_undefined_and_the_verdict_standing():
    columns = {"input": np.concatenate([NORMAL[:20], ODD[:1]]), "label": [0] * 20 + [1]}
    report = ANOMALY.run(lambda items: -np.arange(len(items)), columns)
    assert np.isfinite(report.intervals["roc_auc"]).all()
    assert all(0.5 <= share["roc_auc"] <= 1 for share in report.ahead.values())


@pytest.mark.parametrize("labels", [[False, True], ["0", "1"], [0.0, 1.0], ["False", "TRUE"], list(np.array([0, 1]))])
def test_labels_in_any_spelling_of_a_number(labels):
    report = ANOMALY.run(lambda items: [1, 0], {"input": [[0.0], [1.0]], "label": labels})
    assert report.metrics["roc_auc"] == 1


def test_unusable_labels_scores_and_rows():
    two = {"input": [[0.0], [1.0]], "label": [0, 1]}
    with pytest.raises(BadInput, match="Row 1 has the label 'odd', which is neither"):
        ANOMALY.run(lambda items: [1, 0], {**two, "label": [0, "odd"]})
    with pytest.raises(BadInput, match="All 2 rows are normal items"):
        ANOMALY.run(lambda items: [1, 0], {**two, "label": [0, 0]})
    with pytest.raises(NonFinite, match="Of the scores, item 1's is nan"):
        ANOMALY.run(lambda items: [1, np.nan], two)
    with pytest.raises(BadInput, match=r"The scores have shape \(1,\)"):
        ANOMALY.run(lambda items: [1], two)
    with pytest.raises(BadInput, match="no rows to learn its baselines from"):
        ANOMALY.run(lambda items: [1, 0], two, train={"input": []})
