"""Classification: probes read what is there and no more, metrics are scikit-learn's, unfit labels are answered."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score

from raw2vec.errors import BadInput
from raw2vec.evaluate import CLASSIFICATION
from raw2vec.evaluate.base import Split
from raw2vec.evaluate.classification import Head, _dealt, _parts
from raw2vec.evaluate.probes import Classes, Numbers, Several, _fitted, _vote
from raw2vec.labels import Labels

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


def head(*names):
    """A head that finds the number in the fourth dimension and says one of these names by its remainder."""
    return Head(Labels("classes", names), lambda rows: [names[round(row[3]) % len(names)] for row in rows])


LABELS = [KINDS[i % 3] for i in range(120)]
WORDS = [f"{kind} thing {i}" for i, kind in enumerate(LABELS)]


def numbered(texts, role):
    """No class to be read by a line: a head may know, a probe cannot."""
    rows = np.random.default_rng(2).normal(size=(len(texts), 8))
    rows[:, 3] = [int(text.split()[-1]) for text in texts]
    return rows


def test_a_head_answers_for_all_rows_and_everything_else_for_each_fifth_after_the_other_four():
    """The baselines know the words and do as well as the head, on the same rows; the probe of its vectors does not."""
    report = CLASSIFICATION.run(numbered, {"input": WORDS, "label": LABELS}, head=head(*KINDS))
    assert report.items == 120
    assert report.metrics["accuracy"] == report.metrics["macro_f1"] == 1
    assert report.metrics["probe_accuracy"] < 0.6
    assert set(report.metrics) > {"probe_macro_f1", "knn1_accuracy", "knn20_macro_f1"}
    assert report.baselines["TF-IDF"]["accuracy"] == report.baselines["TF-IDF+SVD"]["accuracy"] == 1
    assert report.baselines["majority"]["accuracy"] == pytest.approx(1 / 3, abs=0.05)
    assert "the model's own head answers for all 120 rows" in report.notes[-1]
    assert "learning from 96 of the other rows" in report.notes[-1]
    alone = CLASSIFICATION.run(numbered, {"input": WORDS, "label": LABELS})
    assert alone.items == 24
    assert alone.metrics["accuracy"] < 0.6
    assert "96 rows were learnt from and 24 measured" in alone.notes


def test_no_baseline_has_seen_the_row_it_answers_for():
    """Every item is its own class's only one but for its twins, which are dealt together."""
    texts = [f"word{i // 2}" for i in range(120)]
    report = CLASSIFICATION.run(noise, {"input": texts, "label": texts}, head=head(*sorted(set(texts))))
    assert report.baselines["TF-IDF"]["accuracy"] == report.metrics["knn1_accuracy"] == 0
    assert any("120 of 120 measured rows have a class never learnt by the probes" in note for note in report.notes)


def test_after_a_fit_everything_learns_from_rows_that_the_model_was_trained_on():
    train, held = ({"input": WORDS[part], "label": LABELS[part]} for part in (slice(0, 90), slice(90, 120)))
    report = CLASSIFICATION.run(numbered, held, train=train, head=head(*KINDS))
    assert report.items == 30
    assert report.metrics["accuracy"] == report.baselines["TF-IDF"]["accuracy"] == 1
    assert report.metrics["probe_accuracy"] < 0.6
    assert any(
        "on 30 rows the model's own head answers" in note and "learnt from 90 of" in note for note in report.notes
    )


def test_a_class_that_the_head_never_learnt_counts_as_wrong():
    labels = ["mauve" if i < 12 else label for i, label in enumerate(LABELS)]
    report = CLASSIFICATION.run(numbered, {"input": WORDS, "label": labels}, head=head(*KINDS))
    assert report.metrics["accuracy"] == pytest.approx(0.9)
    assert "12 of 120 measured rows have a label that the model never learnt" in report.notes


def test_a_head_alone_where_nothing_can_be_learnt():
    for count in (1, 2, 40):
        rows = {"input": WORDS[::3][:count], "label": LABELS[::3][:count]}
        report = CLASSIFICATION.run(numbered, rows, head=head(*KINDS))
        assert report.metrics == {"accuracy": 1, "macro_f1": 1}
        assert not report.baselines
        assert any(
            "no baselines beside the model: all rows to learn from are of one class" in note for note in report.notes
        )


def test_heads_of_several_labels_and_of_numbers():
    several = Head(Labels("labels", KINDS), lambda rows: [[KINDS[round(row[3]) % 3]] for row in rows])
    report = CLASSIFICATION.run(numbered, {"input": WORDS, "label": LABELS}, head=several)
    assert report.metrics["micro_f1"] == 1 > report.metrics["probe_micro_f1"]
    ten = Head(Labels("numbers", mean=3, scale=2), lambda rows: [row[3] * 10 for row in rows])
    numbers = {"input": WORDS, "label": [i * 10 for i in range(120)]}
    report = CLASSIFICATION.run(lambda texts, role: numbered(texts, role) ** 2, numbers, head=ten)
    assert report.metrics["mae"] > 1000
    report = CLASSIFICATION.run(numbered, numbers, head=ten)
    assert report.metrics["r2"] == pytest.approx(1)
    assert report.metrics["mae"] == pytest.approx(0, abs=1e-3)
    assert report.metrics["probe_r2"] > 0.99
    assert report.ahead["mean"]["mae"] == 1


def test_more_dimensions_than_there_are_leave_a_regression_sound():
    """Of rows twice over, an SVD gives as many columns of nothing, which rows not learnt do not lie on."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(["red", "green", "blue", *map(str, range(300))], 5)) for _ in range(60)]
    answers = [text.count("red") + len(text) / 9 + 0.01 for text in texts]
    train = {"input": texts[:30] * 2, "label": answers[:30] * 2}

    def wide(texts, role):
        return np.random.default_rng(1).normal(size=(len(texts), 64))

    report = CLASSIFICATION.run(wide, {"input": texts[30:], "label": answers[30:]}, train=train)
    assert report.baselines["TF-IDF+SVD"]["r2"] > -1


def test_columns_of_rounding_alone_have_no_say():
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(60, 4)) * [1, 1, 1, 1e-17]
    fitted = _fitted(Ridge(), "alpha", (1, 10), (1, 10), rows, rows[:, 0], np.arange(60) % 3)
    asked = draw.normal(size=(20, 4))
    assert r2_score(asked[:, 0], fitted.predict(asked)) > 0.9


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
    splits = [Split(np.arange(10), np.arange(10, 60), np.zeros(10))]
    classes = Classes(np.concatenate([np.arange(10) % 4, truth]), splits)
    counts = np.stack([np.ones(50), [0, *draw.multinomial(50, np.full(49, 1 / 49))]])
    found = classes.measured({"": said}).of(counts)
    for row, count in enumerate(counts.astype(int)):
        a, b = np.repeat(truth, count), np.repeat(said, count)
        assert found["accuracy"][row] == pytest.approx(accuracy_score(a, b))
        assert found["macro_f1"][row] == pytest.approx(f1_score(a, b, average="macro"))
    truth, said = draw.integers(0, 2, (2, 50, 3))
    several = Several(np.concatenate([np.tile([[1, 0, 0], [0, 1, 0]], (5, 1)), truth]), splits)
    found = several.measured({"": said}).metrics()
    assert found["micro_f1"] == pytest.approx(f1_score(truth, said, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    truth, said = draw.normal(size=(2, 50))
    found = Numbers(np.concatenate([np.zeros(10), truth]), splits).measured({"": said}).of(counts)
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
    held = _parts(texts, strata, seed=0) == 1
    assert len(set(held[:5])) == 1
    assert set(strata[held]) == set(strata[~held]) == {0, 1, 2}
    assert 0.15 <= held.mean() <= 0.25
    assert (held == (_parts(texts, strata, seed=0) == 1)).all()
    assert (held != (_parts(texts, strata, seed=1) == 1)).any()
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
