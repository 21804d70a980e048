"""The rate-distortion curve: PCA's errors are eigenvalues, the widths double, the model's error stands at its own."""

import numpy as np
import pytest

from raw2vec.errors import BadInput
from raw2vec.evaluate import rate_distortion

ROWS = np.random.default_rng(0).normal(size=(60, 12)) * np.arange(1, 13)


def test_pca_at_doubling_widths_beside_the_model_at_its_own():
    points = rate_distortion(ROWS, {6: 0.5})
    assert [point.width for point in points] == [1, 2, 4, 6, 8]
    assert [point.model for point in points] == [None, None, None, 0.5, None]
    eigenvalues = np.linalg.eigvalsh(np.cov(ROWS.T, bias=True))[::-1]
    expected = [eigenvalues[point.width :].sum() / 12 for point in points]
    assert [point.pca for point in points] == pytest.approx(expected)


def test_widths_end_where_pca_does_and_models_of_several_widths_share_the_curve():
    assert [point.width for point in rate_distortion(ROWS, {12: 0.0})] == [1, 2, 4, 8, 12]
    assert [point.width for point in rate_distortion(ROWS, {1: 0.3})] == [1]
    points = rate_distortion(ROWS, {2: 0.3, 3: 0.2})
    assert [(point.width, point.model) for point in points] == [(1, None), (2, 0.3), (3, 0.2), (4, None)]


def test_known_rows_are_learnt_from_and_missing_numbers_not_counted():
    held = rate_distortion(ROWS[30:], {4: 0.0}, known=ROWS[:30])
    assert held[-1].pca > rate_distortion(ROWS[30:], {4: 0.0})[-1].pca
    holes = ROWS.copy()
    holes[0, 0] = np.nan
    assert np.isfinite([point.pca for point in rate_distortion(holes, {4: 0.0})]).all()


def test_unusable_curves():
    with pytest.raises(BadInput, match="needs a model's error at a width of 1 or more"):
        rate_distortion(ROWS, {})
    with pytest.raises(BadInput, match="items of one shape"):
        rate_distortion([[1.0], [1.0, 2.0]], {1: 0.0})
