"""The rate-distortion protocol: PCA's errors are eigenvalues, the widths double, and less is more at every one."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from raw2vec import Raw2Vec
from raw2vec.errors import BadInput
from raw2vec.evaluate import RATE_DISTORTION

ROWS = (np.random.default_rng(0).normal(size=(60, 12)) * np.arange(1, 13)).astype(np.float32)


def nothing(items, width):
    return np.zeros_like(items)


def test_pca_at_doubling_widths_beside_the_model() -> None:
    report = RATE_DISTORTION.run(nothing, {"input": list(ROWS)}, width=6)
    assert list(report.metrics) == ["mse@1", "mse@2", "mse@4", "mse@6"]
    assert list(report.metrics.values()) == pytest.approx([float((ROWS**2).mean())] * 4)
    eigenvalues = np.linalg.eigvalsh(np.cov(ROWS.T, bias=True))[::-1]
    expected = [eigenvalues[width:].sum() / 12 for width in (1, 2, 4, 6)]
    assert list(report.baselines["PCA"].values()) == pytest.approx(expected, rel=1e-4)
    assert report.ahead["PCA"] == dict.fromkeys(report.metrics, 0.0)
    assert any("does not beat PCA" in note for note in report.notes)


def test_a_model_hears_of_every_width() -> None:
    def one_a_number(items, width):
        return [np.full_like(item, width) for item in items]

    report = RATE_DISTORTION.run(one_a_number, {"input": [np.full(3, 8.0)] * 40}, width=8)
    assert report.metrics == {"mse@1": 49, "mse@2": 36, "mse@4": 16, "mse@8": 0}
    assert list(RATE_DISTORTION.run(nothing, {"input": list(ROWS)}, width=1).metrics) == ["mse@1"]


def test_known_rows_are_learnt_from_and_missing_numbers_not_counted() -> None:
    held = {"input": list(ROWS[30:])}
    apart = RATE_DISTORTION.run(nothing, held, train={"input": list(ROWS[:30])}, width=4)
    own = RATE_DISTORTION.run(nothing, held, width=4)
    assert apart.baselines["PCA"]["mse@4"] > own.baselines["PCA"]["mse@4"]
    holes = ROWS.copy()
    holes[0, 0] = np.nan
    assert np.isfinite(list(RATE_DISTORTION.run(nothing, {"input": list(holes)}, width=4).metrics.values())).all()


def test_items_of_several_shapes_have_no_curve() -> None:
    with pytest.raises(BadInput, match="items of one shape"):
        RATE_DISTORTION.run(nothing, {"input": [np.ones(1), np.ones(2)]}, width=1)


def test_a_models_whole_code_is_the_end_of_its_curve() -> None:
    digits = (load_digits().images * 15).astype(np.uint8)
    model = Raw2Vec("reconstruction", kind="image", latent=6, size="tiny", steps=60).fit(digits[:600])
    found = model.evaluate(digits[600:800], "rate-distortion").metrics
    assert list(found) == ["mse@1", "mse@2", "mse@4", "mse@6"]
    assert list(found.values()) == sorted(found.values(), reverse=True), "more numbers keep more"
    assert found["mse@6"] == pytest.approx(model.evaluate(digits[600:800], "reconstruction").metrics["mse"], rel=1e-5)


def test_a_width_at_which_pca_loses_nothing_is_said() -> None:
    for width in (11, 12):
        notes = RATE_DISTORTION.run(nothing, {"input": list(ROWS)}, width=width).notes
        assert any("PCA loses nothing of items of 12 numbers" in note for note in notes) == (width == 12)
