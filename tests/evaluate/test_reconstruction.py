"""Reconstruction: PCA misses the discarded eigenvalues, R² is scikit-learn's, missing numbers count nothing."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import r2_score

from raw2vec.errors import BadInput, NonFinite
from raw2vec.evaluate import RECONSTRUCTION, Rebuilt

DIGITS = load_digits().data / 16


def gave(rebuilt, width=2):
    return lambda items: Rebuilt(rebuilt, width)


def of(items, rebuilt, width=2, **more):
    return RECONSTRUCTION.run(gave(rebuilt, width), {"input": items}, **more)


def test_metrics_by_hand():
    truth, rebuilt = np.array([[0.0, 1, 2], [4, 1, 0]]), np.array([[0.0, 1, 1], [2, 1, 0]])
    report = of(truth, rebuilt, peak=4.0)
    assert report.protocol == "reconstruction/1"
    # Squared errors 1 and 4 of six elements; about the elements' means the squares are 4 + 4, 0 and 1 + 1.
    expected = {"mse": 5 / 6, "sse": 5 / 2, "r2": 1 - 5 / 10, "psnr": 10 * np.log10(16 / (5 / 6))}
    assert report.metrics == pytest.approx(expected)
    assert set(report.intervals) == set(expected)
    assert "psnr" not in of(truth, rebuilt).metrics


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 20), st.integers(1, 9), st.integers(1, 4), st.integers(0, 999))
def test_pca_misses_the_discarded_eigenvalues_and_nothing_linear_less(items, size, width, seed):
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(items, size)) * np.arange(1, size + 1)
    report = of(rows, np.tile(rows.mean(axis=0), (items, 1)), width)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(rows.T, bias=True).reshape(size, size)))[::-1]
    assert report.baselines["PCA"]["sse"] == pytest.approx(eigenvalues[width:].sum(), abs=1e-9)
    assert report.baselines["mean item"]["sse"] == pytest.approx(eigenvalues.sum())
    assert report.metrics == pytest.approx(report.baselines["mean item"])
    assert report.metrics["r2"] == pytest.approx(0, abs=1e-9)
    assert any("learnt from the measured items themselves" in note for note in report.notes)


def test_r2_is_scikit_learns_and_shapes_do_not_matter():
    truth, noise = np.random.default_rng(0).normal(size=(2, 50, 64))
    report = of(truth, truth + noise / 2)
    expected = r2_score(truth, truth + noise / 2, multioutput="variance_weighted")
    assert report.metrics["r2"] == pytest.approx(expected)
    pictures = of(truth.reshape(-1, 8, 8), (truth + noise / 2).reshape(-1, 8, 8))
    assert pictures.metrics == pytest.approx(report.metrics)
    assert pictures.baselines["PCA"] == pytest.approx(report.baselines["PCA"])


def test_uint8_pixels_count_as_255ths():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 9)).astype(np.uint8)
    assert of(pixels, pixels[::-1]).metrics == pytest.approx(of(pixels / 255, pixels[::-1] / 255).metrics, rel=1e-5)


def test_baselines_learn_from_the_training_rows_and_a_model_that_is_no_better_is_told():
    train = {"input": DIGITS[:1000]}
    perfect = of(DIGITS[1000:], DIGITS[1000:], 8, train=train)
    assert perfect.metrics["mse"] == 0
    assert perfect.notes == []
    centre = DIGITS[:1000].mean(axis=0)
    directions = np.linalg.svd(DIGITS[:1000] - centre, full_matrices=False)[2][:8]
    by_hand = (DIGITS[1000:] - centre) @ directions.T @ directions + centre
    report = of(DIGITS[1000:], by_hand, 8, train=train)
    assert report.baselines["PCA"] == pytest.approx(report.metrics)
    poor = of(DIGITS[1000:], np.zeros((797, 64)), 8, train=train)
    assert any("does not beat PCA (mse 0.2" in note for note in poor.notes)
    assert any("does not beat mean item" in note for note in poor.notes)


def test_small_errors_are_told_apart_in_notes():
    rows = np.random.default_rng(0).normal(size=(50, 4)) / 100
    note = of(rows, rows * 0, width=3).notes[0]
    ours, theirs = note.partition("mse ")[2].rstrip(")").split(" against ")
    assert 0 < float(theirs) < float(ours)


@pytest.mark.parametrize(("width", "said"), [(3, False), (4, True), (32, True)])
def test_a_code_no_narrower_than_the_items_is_not_set_beside_pca_in_silence(width, said):
    rows = np.random.default_rng(0).normal(size=(50, 2, 2))
    notes = of(rows, rows * 0, width=width).notes
    sentence = f"at a width of {width} PCA loses nothing of items of 4 numbers: fit with a --latent below 4 for a"
    assert any(note.startswith(sentence) for note in notes) == said
    if said:
        assert "against 0.000)" in notes[0]


def test_missing_numbers_count_nothing():
    truth = DIGITS[:60].copy()
    truth[::3, 5:9] = np.nan
    rebuilt = np.nan_to_num(truth, nan=99.0) + 0.1
    report = of(truth, rebuilt)
    assert report.metrics["mse"] == pytest.approx(0.01)
    assert report.metrics["sse"] == pytest.approx(0.01 * (64 * 60 - 80) / 60)
    assert "80 of 3840 numbers are missing and not counted" in report.notes
    assert np.isfinite(report.baselines["PCA"]["mse"])
    rebuilt[:, 5:9] = np.nan  # nothing is asked of it where the truth is missing, and something elsewhere
    with pytest.raises(NonFinite, match="The reconstruction of item 1 is not a number in 160 places"):
        of(truth, rebuilt)


def test_items_of_many_sizes_have_no_baselines():
    items = [np.zeros((2, 2)), np.ones((3, 2))]
    report = of(items, [item + 1 for item in items], width=1)
    assert report.metrics == pytest.approx({"mse": 1, "sse": 5, "r2": 1 - 10 / 2.4})
    assert report.baselines == {}
    assert "the items differ in shape, so there is no PCA and mean item to set beside the model" in report.notes


def test_a_perfect_reconstruction_is_json():
    plain = of(DIGITS[:40], DIGITS[:40], peak=1.0).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False))["metrics"] == {"mse": 0, "sse": 0, "r2": 1, "psnr": None}


@pytest.mark.filterwarnings("error")
def test_what_has_no_meaning_is_nothing_and_no_warning():
    same = np.full((40, 9), 0.5)
    constant = of(same, same + 0.1, peak=1.0)
    assert np.isnan([constant.metrics["r2"], *constant.intervals["r2"]]).all()
    assert constant.ahead["PCA"]["r2"] == 0.5
    perfect = of(same, same, peak=1.0)
    assert perfect.metrics["psnr"] == perfect.baselines["PCA"]["psnr"] == np.inf
    assert perfect.ahead["PCA"]["psnr"] == 0.5, "both are level"


@pytest.mark.parametrize(
    ("items", "rebuilt", "said"),
    [
        (["a", "b"], [], "Item 0 is a str, where an array of numbers is needed"),
        ([[1.0], [np.inf]], [], "Item 1 holds an infinite number"),
        ([[np.nan], [np.nan]], [], "Every number of the 2 items is missing"),
        ([[1.0], [2.0]], [[1.0]], "The model gave 1 reconstructions of 2 items"),
        ([[1.0], [2.0]], [[1.0], [2.0, 3.0]], "Item 1 holds 1 numbers, and its reconstruction 2"),
    ],
)
def test_what_cannot_be_measured(items, rebuilt, said):
    with pytest.raises(BadInput, match=said):
        of(items, rebuilt)
