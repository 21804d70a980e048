"""Baselines of arrays: probes on digits read raw values and PCA as scikit-learn does, and no number need be there."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from raw2vec.errors import BadInput
from raw2vec.evaluate import ARRAY_CLASSIFICATION
from raw2vec.evaluate.array_baselines import isolation_forest, mean_item, pca, pca_error, pca_reconstruction, raw_values

DIGITS = load_digits()
COLUMNS = {"input": list(DIGITS.images[:600] / 16), "label": list(DIGITS.target[:600])}


def rows(items, role="input"):
    return np.stack(items).reshape(len(items), -1)


def test_codes_of_digits_beside_raw_values_and_pca_of_their_width():
    halves = ARRAY_CLASSIFICATION.run(lambda items, role: rows(items)[:, ::8], COLUMNS)
    assert set(halves.baselines) == {"majority", "raw values", "PCA"}
    assert halves.baselines["raw values"]["accuracy"] > 0.9
    assert halves.baselines["majority"]["accuracy"] < 0.2 < halves.baselines["PCA"]["knn5_accuracy"]
    assert any("does not beat PCA (accuracy" in note for note in halves.notes)
    whole = ARRAY_CLASSIFICATION.run(rows, COLUMNS)
    assert whole.metrics == whole.baselines["raw values"]
    assert whole.baselines["PCA"] != halves.baselines["PCA"]


def test_identical_arrays_are_kept_together_and_told():
    items = [*DIGITS.images[:60], *DIGITS.images[:60]]
    labels = [*DIGITS.target[:60], *DIGITS.target[:60]]
    apart = ARRAY_CLASSIFICATION.run(rows, {"input": items, "label": labels})
    assert not any("also learnt from" in note for note in apart.notes)
    train = {"input": items[:60], "label": labels[:60]}
    told = ARRAY_CLASSIFICATION.run(rows, {"input": items[:30], "label": labels[:30]}, train=train)
    assert any("30 of 30 measured items were also learnt from" in note for note in told.notes)


def test_arrays_of_many_shapes_have_the_majority_alone_beside_them():
    items = [np.full(1 + i % 2, i) for i in range(40)]
    draw = np.random.default_rng(0).normal(size=(40, 3))
    report = ARRAY_CLASSIFICATION.run(lambda asked, role: draw, {"input": items, "label": [i % 4 for i in range(40)]})
    assert set(report.baselines) == {"majority"}
    assert any("no raw values and PCA" in note for note in report.notes)


def test_pca_is_scikit_learns_and_never_wider_than_the_items():
    known, asked = DIGITS.data[:200], DIGITS.data[200:220]
    expected = PCA(5, svd_solver="full").fit(known)
    assert np.abs(pca(known, 5)(asked, "input")) == pytest.approx(np.abs(expected.transform(asked)), abs=1e-6)
    assert pca(known[:4], 99)(asked, "input").shape == (20, 4)
    assert pca_reconstruction(known[:3, :2], 99)(known[:3, :2]) == pytest.approx(known[:3, :2])


def test_missing_numbers_stand_at_the_mean_of_their_element():
    known = np.array([[1.0, np.nan, np.nan], [3, 6, np.nan], [np.nan, 8, np.nan]])
    assert raw_values(known, 0)(known, "input").tolist() == [[1, 7, 0], [3, 6, 0], [2, 8, 0]]
    assert mean_item(known, 0)(known[:1]).tolist() == [[2, 7, 0]]
    for learn in (isolation_forest, pca_error):
        assert np.isfinite(learn(known, 0)(known)).all()


@pytest.mark.parametrize("learn", [raw_values, pca, mean_item, pca_reconstruction, pca_error, isolation_forest])
def test_one_item_and_items_that_are_all_the_same(learn):
    def told(known):
        model = learn(known, 2)
        return model(known, "input") if learn in (raw_values, pca) else model(known)

    assert np.isfinite(told(np.ones((1, 3)))).all()
    assert np.isfinite(told(np.ones((5, 3)))).all()


def test_texts_are_no_arrays():
    with pytest.raises(BadInput, match="Item 0 is a str, where an array of numbers is needed"):
        pca(["a", "b"], 1)
