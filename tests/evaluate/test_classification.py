"""Classification: probes read what is there and no more, metrics are scikit-learn's, unfit labels are answered."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score

from raw2vec.errors import BadInput
from raw2vec.evaluate import CLASSIFICATION
from raw2vec.evaluate.classification import _dealt, _fifth
from raw2vec.evaluate.probes import Classes, Numbers, Several, _vote

TEXTS = [f"item number{i}" for i in range(120)]
KINDS = ["red", "green", "blue"]


def number(text: str) -> int:
    return int(text.removeprefix("item number"))


def telling(texts, role):
    """The class stands in the first three dimensions, and the number in the fourth, among noise."""
    rows = np.random.default_rng(0).normal(size=(len(texts), 8))
    for row, text in enumerate(texts):
        rows[row, number(text) % 3] += 8
        rows[row, 3] = number(text)
    return rows


def noise(texts, role):
    return np.random.default_rng(1).normal(size=(len(texts), 8))


def columns(labels):
    return {"input": TEXTS, "label": list(labels)}


def test_classes_are_read_where_they_stand_and_not_from_noise():
    labelled = columns(KINDS[i % 3] for i in range(120))
    report = CLASSIFICATION.run(telling, labelled)
    assert report.metrics["accuracy"] == report.metrics["macro_f1"] == 1
    assert report.metrics["knn5_accuracy"] > 0.5
    assert set(report.baselines) == {"majority", "TF-IDF", "TF-IDF+SVD"}
    assert report.baselines["majority"]["accuracy"] == pytest.approx(1 / 3)
    assert report.items == 24
    blind = CLASSIFICATION.run(noise, labelled)
    assert blind.metrics["accuracy"] < 0.7
    assert any("majority" in note for note in blind.notes)


def test_text_baselines_read_words():
    texts = [f"{'good' if i % 2 else 'bad'} film {i}" for i in range(60)]
    report = CLASSIFICATION.run(noise, {"input": texts, "label": [i % 2 for i in range(60)]})
    assert report.baselines["TF-IDF"]["accuracy"] == 1
    assert any("does not beat TF-IDF (accuracy" in note for note in report.notes)


def test_rows_to_learn_from_of_ones_own():
    labels = [KINDS[i % 3] for i in range(120)]
    rows = slice(0, 90), slice(90, 120)
    train, test = ({"input": TEXTS[part], "label": labels[part]} for part in rows)
    report = CLASSIFICATION.run(telling, test, train=train)
    assert report.items == 30
    assert report.metrics["accuracy"] == 1
    odd = {"input": [*TEXTS[90:], TEXTS[0]], "label": [*labels[90:], "mauve"]}
    report = CLASSIFICATION.run(telling, odd, train=train)
    assert any("1 of 31 measured items were also learnt from" in note for note in report.notes)
    assert any("1 of 31 measured rows have a class never learnt" in note for note in report.notes)
    with pytest.raises(BadInput, match="of one class"):
        CLASSIFICATION.run(telling, test, train={"input": TEXTS[:3], "label": ["red"] * 3})


def test_numbers_are_regressed():
    report = CLASSIFICATION.run(telling, columns(i * 3 + 0.5 for i in range(120)))
    assert report.metrics["r2"] > 0.99
    assert report.metrics["mae"] < 5
    assert report.baselines["mean"]["r2"] == pytest.approx(0, abs=0.3)
    assert report.baselines["mean"]["mae"] > 50


def test_several_labels_a_row():
    labels = [f"{KINDS[i % 3]}|{KINDS[(i + 1) % 3]}" if i % 3 else "red" for i in range(120)]
    report = CLASSIFICATION.run(telling, columns(labels))
    assert report.headline == "micro_f1"
    assert report.metrics == {"micro_f1": 1, "macro_f1": 1}
    assert report.baselines["majority"]["micro_f1"] < 0.7
    listed = CLASSIFICATION.run(telling, columns(label.split("|") for label in labels))
    assert listed.metrics == report.metrics


def test_metrics_are_scikit_learns_whole_and_resampled():
    draw = np.random.default_rng(2)
    truth, said = draw.integers(0, 4, (2, 50))
    truth[0] = said[0] = 4  # a class that the resample has not drawn
    test, folds = np.arange(60) >= 10, np.zeros(10)
    classes = Classes(np.concatenate([np.arange(10) % 4, truth]), test, folds)
    counts = np.stack([np.ones(50), [0, *draw.multinomial(50, np.full(49, 1 / 49))]])
    found = classes._measured({"": said}).of(counts)
    for row, count in enumerate(counts.astype(int)):
        a, b = np.repeat(truth, count), np.repeat(said, count)
        assert found["accuracy"][row] == pytest.approx(accuracy_score(a, b))
        assert found["macro_f1"][row] == pytest.approx(f1_score(a, b, average="macro"))
    truth, said = draw.integers(0, 2, (2, 50, 3))
    several = Several(np.concatenate([np.tile([[1, 0, 0], [0, 1, 0]], (5, 1)), truth]), test, folds)
    found = several._measured(said).metrics()
    assert found["micro_f1"] == pytest.approx(f1_score(truth, said, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    truth, said = draw.normal(size=(2, 50))
    found = Numbers(np.concatenate([np.zeros(10), truth]), test, folds)._measured(said).of(counts)
    for row, count in enumerate(counts.astype(int)):
        a, b = np.repeat(truth, count), np.repeat(said, count)
        assert found["r2"][row] == pytest.approx(r2_score(a, b))
        assert found["mae"][row] == pytest.approx(mean_absolute_error(a, b))


def test_neighbours_vote_and_the_nearest_decides_a_draw():
    assert list(_vote(np.array([[1, 0, 0, 2, 1], [2, 1, 1, 1, 2]]), 3)) == [1, 1]
    assert list(_vote(np.array([[2], [0]]), 3)) == [2, 0]


def test_the_split_has_every_class_and_keeps_identical_texts_together():
    texts = ["same"] * 5 + [f"t{i}" for i in range(95)]
    strata = np.array([0] * 90 + [1] * 8 + [2] * 2)
    held = _fifth(texts, strata, seed=0)
    assert len(set(held[:5])) == 1
    assert set(strata[held]) == set(strata[~held]) == {0, 1, 2}
    assert 0.15 <= held.mean() <= 0.25
    assert (held == _fifth(texts, strata, seed=0)).all()
    assert (held != _fifth(texts, strata, seed=1)).any()
    shares = np.bincount(_dealt(np.repeat([0, 1], [50, 10]), 5, 0, "x") * 2 + np.repeat([0, 1], [50, 10]))
    assert list(shares) == [10, 2] * 5


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["red"] * 120, "one class only"),
        (["red", float("nan")] * 60, "Row 1 has no 'label'"),
        (["red", None] * 60, "Row 1 has no 'label'"),
        ([["a"]] * 120, "same labels"),
    ],
)
def test_labels_that_nothing_can_be_learnt_from(labels, said):
    with pytest.raises(BadInput, match=said):
        CLASSIFICATION.run(telling, columns(labels))


def test_too_few_rows_and_constant_vectors():
    with pytest.raises(BadInput):
        CLASSIFICATION.run(telling, {"input": TEXTS[:1], "label": ["red"]})
    with pytest.raises(BadInput, match=r"2 rows .* too few"):
        CLASSIFICATION.run(telling, {"input": TEXTS[:2], "label": ["red", "blue"]})
    few = CLASSIFICATION.run(telling, {"input": TEXTS[:4], "label": ["a", "b", "a", "b"]})
    assert any("only 2 items" in note for note in few.notes)
    flat = CLASSIFICATION.run(lambda texts, role: np.zeros((len(texts), 4)), columns(KINDS[i % 3] for i in range(120)))
    assert flat.metrics["accuracy"] == pytest.approx(1 / 3)
