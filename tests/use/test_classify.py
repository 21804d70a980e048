"""Predicting: classes, several labels at once, and numbers, through the head that training left."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

from raw2vec.cli.predictions import Predictions, teller
from raw2vec.errors import BadInput
from raw2vec.system import Raw2Vec
from raw2vec.use.classify import predicted
from small import recipe, rows, texts

Fit = Callable[..., Raw2Vec]


def test_classes(fitted: Fit) -> None:
    model = fitted("supervised", training__steps=150, training__learning_rate=0.01)
    assert model.classes_.tolist() == ["garden", "harbour", "kitchen"]
    held = rows(60, seed=5)
    found = model.predict([row["text"] for row in held])
    assert np.mean(found == [row["label"] for row in held]) > 0.9
    chances = model.predict_proba([row["text"] for row in held])
    np.testing.assert_allclose(chances.sum(1), 1, atol=1e-5)
    assert model.classes_[chances.argmax(1)].tolist() == found.tolist()


def test_several_labels_at_once() -> None:
    held = [{**row, "label": f"{row['label']}|{'long' if len(row['text']) > 45 else 'short'}"} for row in rows(150)]
    model = Raw2Vec(recipe=recipe("supervised", training__steps=150, training__learning_rate=0.01)).fit(held)
    assert model.classes_.tolist() == ["garden", "harbour", "kitchen", "long", "short"]
    found = model.predict([row["text"] for row in held])
    assert np.mean([set(row["label"].split("|")) == set(labels) for row, labels in zip(held, found, strict=True)]) > 0.5
    chances = model.predict_proba([row["text"] for row in held[:5]])
    assert chances.shape == (5, 5)
    assert [[name for name, p in zip(model.classes_, row, strict=True) if p > 0.5] for row in chances] == list(
        found[:5]
    )
    assert model.predict(["salt bread soup"]).shape == (1,)


def test_numbers() -> None:
    prices = {"harbour": 100.5, "kitchen": 200.5, "garden": 300.5}
    held = [{**row, "label": prices[row["label"]] + n % 7} for n, row in enumerate(rows(150))]
    model = Raw2Vec(recipe=recipe("supervised", training__steps=200, training__learning_rate=0.02)).fit(held)
    found = model.predict([row["text"] for row in held])
    assert found.dtype.kind == "f"
    assert np.corrcoef(found, [row["label"] for row in held])[0, 1] > 0.9
    assert 150 < found.mean() < 250, "in the labels' own unit"
    with pytest.raises(BadInput, match="predicts numbers, which have no probabilities"):
        model.predict_proba(["a"])


def test_labels_and_probabilities_come_of_one_encoding(fitted: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `predict`, `predict_proba` and the command line say is the same, and each text is encoded once."""
    model, items = fitted("supervised"), texts(20)
    found = predicted(model.parts_, model.transform(items))
    assert found.labels.tolist() == model.predict(items).tolist()
    np.testing.assert_array_equal(found.probabilities, model.predict_proba(items))
    seen: list[int] = []
    encoded = model.encoded
    monkeypatch.setattr(model, "encoded", lambda texts, side: seen.append(len(texts)) or encoded(texts))
    head, data = teller(model, None, None), [{"text": text} for text in items]
    told = list(Predictions(model, data, None, head, lambda items: None).rows())
    assert seen == [20]
    assert [row["prediction"] for row in told] == found.labels.tolist()
    assert [row["probability"] for row in told] == found.probabilities.max(axis=1).tolist()


def test_labels_handed_over_beside_the_texts() -> None:
    held = rows(100)
    made = recipe("supervised").changed({"columns.input": "input"})
    model = Raw2Vec(recipe=made).fit([row["text"] for row in held], [row["label"] for row in held])
    assert model.classes_.tolist() == ["garden", "harbour", "kitchen"]


def test_no_texts_are_no_predictions(fitted: Fit) -> None:
    assert len(fitted("supervised").predict([])) == 0


def test_a_model_without_labels_cannot_predict(fitted: Fit) -> None:
    for ask in ("predict", "predict_proba"):
        with pytest.raises(BadInput, match="was not trained on labels"):
            getattr(fitted(), ask)(texts(2))


def test_predicting_keeps_no_gradients(fitted: Fit) -> None:
    model = fitted("supervised")
    state = torch.get_rng_state()
    model.predict(texts(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None for weight in model.parts_.model.parameters())


def test_the_score_is_the_share_told_right_and_searches_work() -> None:
    lines = [f"{word} {number}" for number in range(30) for word in ("cat purrs", "engine roars")]
    labels = ["animal", "machine"] * 30
    options = {"size": "tiny", "steps": 25}
    model = Raw2Vec("supervised", **options).fit(lines, labels)
    assert model.score(lines, labels) == pytest.approx((model.predict(lines) == np.array(labels)).mean())
    assert model.score(lines, labels) > 0.9
    numbers = [float(number) for number in range(60)]
    assert Raw2Vec("supervised", **options).fit(lines, numbers).score(lines, numbers) <= 1
    search = GridSearchCV(Raw2Vec("supervised", size="tiny"), {"steps": [2, 25]}, cv=2).fit(lines, labels)
    assert search.best_score_ > 0.5
