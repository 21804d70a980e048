"""STS: the correlations are SciPy's, plain and resampled, and what cannot be correlated is said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from raw2vec.errors import BadInput
from raw2vec.evaluate import STS
from raw2vec.evaluate.sts import correlations

LEFT = [f"word{i} shared" for i in range(40)]
RIGHT = [f"word{i} shared" if i % 2 else f"other{i} thing" for i in range(40)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=30), st.integers(0, 999))
def test_correlations_are_scipys_with_ties_and_repeats(pairs, seed):
    left, right = np.array(pairs, dtype=float).T
    counts = np.random.default_rng(seed).multinomial(len(left), np.full(len(left), 1 / len(left)), size=2)
    found = correlations(left, right).of(counts.astype(float))
    for row, count in enumerate(counts):
        a, b = np.repeat(left, count), np.repeat(right, count)
        flat = np.ptp(a) == 0 or np.ptp(b) == 0
        assert found["spearman"][row] == pytest.approx(0 if flat else spearmanr(a, b).statistic, abs=1e-9)
        assert found["pearson"][row] == pytest.approx(0 if flat else pearsonr(a, b).statistic, abs=1e-9)


def angles(texts, role):
    """Unit vectors whose cosine is that of the difference of two angles: inputs at 0, targets by their number."""
    turn = [0.0 if role == "input" else float(text.split("-")[1]) for text in texts]
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def test_a_perfect_and_an_inverted_encoder():
    columns = {"input": ["a"] * 30, "target": [f"t-{i / 10}" for i in range(30)]}
    assert STS.run(angles, columns | {"label": list(range(30, 0, -1))}).metrics["spearman"] == pytest.approx(1)
    assert STS.run(angles, columns | {"label": list(range(30))}).metrics["spearman"] == pytest.approx(-1)


def test_baselines_see_shared_words():
    columns = {"input": LEFT, "target": RIGHT, "label": [str(i % 2) for i in range(40)]}  # numbers as a csv has them
    report = STS.run(lambda texts, role: np.random.default_rng(0).normal(size=(len(texts), 8)), columns)
    assert set(report.baselines) == {"TF-IDF", "word overlap", "TF-IDF+SVD"}
    assert report.baselines["word overlap"]["pearson"] == pytest.approx(1)
    assert report.baselines["TF-IDF"]["pearson"] > 0.99


def test_constant_vectors_correlate_with_nothing():
    columns = {"input": LEFT, "target": RIGHT, "label": list(range(40))}
    noise = np.random.default_rng(0).normal(size=(40, 3)) * 1e-8  # rounding is not to be ranked
    report = STS.run(lambda texts, role: np.float64(0.1) + noise, columns)
    assert report.metrics == {"spearman": 0, "pearson": 0}
    assert any("the encoder scores every pair the same" in note for note in report.notes)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([1.0, float("nan")], "label of row 1 is nan, not a number"),
        ([1.0, None], "label of row 1 is None"),
        (["high", "2"], "label of row 0 is 'high', not a number"),
        ([2, 2], "All 2 labels are 2"),
    ],
)
def test_labels_that_are_no_scores(labels, said):
    with pytest.raises(BadInput, match=said):
        STS.run(angles, {"input": ["a", "b"], "target": ["t-1", "t-2"], "label": labels})


def test_one_pair_is_too_few():
    with pytest.raises(BadInput, match="All 1 labels"):
        STS.run(angles, {"input": ["a"], "target": ["t-1"], "label": [3]})
