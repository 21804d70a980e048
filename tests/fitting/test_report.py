"""The report and the model card: what a fit has to show for itself."""

import json
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch

from raw2vec.errors import BadInput
from raw2vec.fitting import fit
from raw2vec.fitting.fit import Fitted, fit_model
from raw2vec.fitting.report import FEWEST, complete, cut_in_two, judge
from raw2vec.fitting.reserve import pace, reserve
from raw2vec.resolve import resolve
from raw2vec.rows import open_rows
from raw2vec.seeding import key
from raw2vec.system import Raw2Vec
from raw2vec.train.batches import Feed
from raw2vec.train.prepare import prepare
from raw2vec.use.encode import encode
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


def fitted_in(work: Path, resume: bool = False) -> Fitted:
    made = resolve(recipe("supervised", training__hold_out=0.4, training__learning_rate=0.02))
    device = torch.device("cpu")
    return fit_model(open_rows(rows(), []), made, work, resume=resume, listener=lambda event: None, device=device)


def test_a_supervised_model_is_judged_by_its_own_head_beside_baselines_learnt_from_its_training_rows(
    fitted: Fit,
) -> None:
    model = fitted("supervised", training__hold_out=0.4)
    held = [row for row in rows() if key(0, "held out", row["text"]) < 0.4 * 2**63]
    assert model.report["held_out"] == len(held)
    right = model.predict([row["text"] for row in held]) == np.array([row["label"] for row in held])
    assert model.report["metrics"]["accuracy"] == pytest.approx(right.mean())
    assert {"macro_f1", "probe_accuracy", "knn5_accuracy"} <= set(model.report["metrics"])
    assert set(model.report["baselines"]) == {"majority", "TF-IDF", "TF-IDF+SVD"}
    assert model.report["baselines"]["TF-IDF"]["accuracy"] > 0.9
    said = f"on {len(held)} rows the model's own head answers"
    learnt = f"learnt from {120 - len(held)} of the rows that the model was trained on"
    assert any(said in note and learnt in note for note in model.report["notes"])
    assert model.report["task"] == "classes"
    assert fitted(training__hold_out=0.4).report["task"] is None


def test_a_resumed_run_is_judged_the_same(tmp_path: Path) -> None:
    assert told(fitted_in(tmp_path)) == told(fitted_in(tmp_path, resume=True))


def told(done: Fitted) -> dict[str, Any]:
    """The report but for the time it took."""
    parts = done.model
    report = judge(done, lambda items, role: encode(parts.model, parts.raw, items).vectors, 0)
    assert report is not None
    return {**report.as_dict(), "seconds": 0}


def test_pictures_are_told_by_the_head_beside_their_pixels(tmp_path: Path) -> None:
    """Sorted by their labels, as folders of pictures are."""
    draw = np.random.default_rng(0)
    labels = np.repeat(["dark", "light", "mixed"], 50)
    bright = {"dark": 40, "light": 200, "mixed": 120}
    pictures = [draw.integers(bright[label] - 30, bright[label] + 30, (6, 6)).astype(np.uint8) for label in labels]
    model = Raw2Vec("supervised", kind="image", size="tiny", steps=30, settings={"training.hold_out": 0.3})
    report = model.fit(pictures, list(labels)).report
    assert report["protocol"] == "classification/2"
    assert "probe_accuracy" in report["metrics"]
    assert set(report["baselines"]) == {"majority", "raw values", "PCA"}
    assert report["baselines"]["raw values"]["accuracy"] > 0.9
    assert any(f"learnt from {150 - report['held_out']} of" in note for note in report["notes"])
    found = model.evaluate({"image": pictures, "label": list(labels)}, input="image", label="label")
    assert found.items == 150
    assert found.metrics["accuracy"] == pytest.approx((model.predict(pictures) == labels).mean())


def test_evaluating_a_supervised_model_measures_its_head_on_all_rows(fitted: Fit) -> None:
    model, others = fitted("supervised", training__hold_out=0.4), rows(90, seed=7)
    found = model.evaluate(others, label="label", input="text")
    told = model.predict([row["text"] for row in others])
    assert found.items == 90
    assert found.metrics["accuracy"] == pytest.approx(np.mean(told == [row["label"] for row in others]))
    assert any("head answers for all 90 rows" in note for note in found.notes)
    assert not any("was fitted on" in note for note in found.notes)
    own = model.evaluate(rows(), label="label", input="text")
    assert "these are the rows that the model was fitted on" in own.notes[0]
    plain = fitted(training__hold_out=0.4).evaluate(others, label="label", input="text")
    assert plain.items < 30, "a probe learns from the others"
    assert not any("head" in note for note in plain.notes)


def test_time_to_judge_is_kept_back_of_a_budget_in_minutes(tmp_path: Path) -> None:
    def kept(count: int, minutes: float, objective: str = "supervised") -> float:
        made = resolve(recipe(objective).changed({"training.minutes": minutes}))
        data = prepare(open_rows(rows(count), []), made, tmp_path, False, lambda event: None)
        return reserve(made, data)

    assert kept(120, 5) == kept(3000, 5, "contrastive") == 9
    assert 1 < kept(120, 0.1) < kept(3000, 0.1) < 3, "more rows, more to learn from"
    assert kept(3000, 0.02) == pytest.approx(0.6), "half of a budget that is too small"
    assert kept(3000, 0.1, "contrastive") == 0.5


def test_what_reads_slowly_has_more_time_kept_back(tmp_path: Path) -> None:
    made = resolve(recipe("contrastive").changed({"training.minutes": 1.0}))
    data = prepare(open_rows(rows(300), []), made, tmp_path, False, lambda event: None)
    held = int(data.corpus.held.sum())
    assert reserve(made, data, 0.2) == pytest.approx(held * 0.2)
    assert reserve(made, data, 0.2, models=2) == pytest.approx(2 * held * 0.2)
    assert reserve(made, data, 60.0) == 30, "half of it at most"


def test_the_pace_is_that_of_reading(fitted: Fit, tmp_path: Path) -> None:
    model, asked = fitted().parts_.model, []
    made = resolve(recipe("contrastive"))
    data = prepare(open_rows(rows(60), []), made, tmp_path, False, lambda event: None)
    feed = Feed(data.corpus, made.views(made.stages[0]), "pair", False, 0, batch_items=8)
    assert 0 < pace(model, feed, 0) < 1
    slow = model.register_forward_pre_hook(lambda module, given: asked.append(len(given[0])) or sleep(0.05))
    assert pace(model, feed, 0) >= len(feed.views[0]) * 0.05 / 8
    slow.remove()
    assert sorted(asked) == sorted(len(feed.views[0]) * [1, 8])


def test_too_little_held_out_claims_nothing() -> None:
    for share in (0.0, 0.05):
        model = Raw2Vec(recipe=recipe(training__hold_out=share, training__steps=2)).fit(rows())
        assert model.report["metrics"] == {}
        assert model.report["baselines"] == {}
        assert "too little was held out" in model.report["notes"][0]
        assert "Scores of held-out rows" not in model._card


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


def test_a_model_is_saved_though_its_held_out_rows_cannot_be_measured(tmp_path: Path) -> None:
    """Every value is a category that the others lack."""
    rows = {"name": [f"only {place}" for place in range(900)]}
    made = Raw2Vec("reconstruction", kind="table", size="tiny", steps=2).fit(rows, out=tmp_path / "m")
    assert Raw2Vec.load(tmp_path / "m").report["metrics"] == {}
    assert made.report["notes"][0].startswith("nothing was measured: Every number")


def test_a_source_tree_is_evaluated_on_the_functions_that_have_a_docstring(tmp_path: Path) -> None:
    functions = [f'def number_{n}():\n    """Give the number {n} back."""\n    return {n}\n' for n in range(30)]
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("\n\n".join([*functions, "def silent():\n    return 0\n"]))
    model = Raw2Vec(size="tiny", steps=2, settings={"raw.vocabulary": 300}).fit(tmp_path / "src")
    found = model.evaluate(tmp_path / "src")
    assert (found.protocol, found.items) == ("retrieval/1", 30)
    assert found.notes[0] == "rows left out, without 'query' or 'code': 1"


def test_many_whole_numbers_learned_as_classes_are_told() -> None:
    rows = [f"it is number {n} of {n}" for n in range(30)] * 6
    model = Raw2Vec(size="tiny", steps=2, settings={"raw.vocabulary": 300})
    told = [note for note in model.fit(rows, list(range(30)) * 6).report["notes"] if "without an order" in note]
    assert told[0].startswith("the labels, 30 whole numbers, are classes")
    few = Raw2Vec(size="tiny", steps=2, settings={"raw.vocabulary": 300}).fit(rows, [n % 5 for n in range(180)])
    assert not [note for note in few.report["notes"] if "without an order" in note]


@pytest.mark.parametrize("nothing", [None, 3])
def test_what_holds_no_items_is_named(nothing: Any) -> None:
    model = Raw2Vec(size="tiny", steps=2, settings={"raw.vocabulary": 300}).fit([f"text {n} here" for n in range(60)])
    with pytest.raises(BadInput, match=f"Give an item or a list of items, not {nothing}"):
        model.encode(nothing)


@pytest.mark.parametrize(("batch", "few"), [("batch_items", 64), ("batch_tokens", 512)])
def test_a_budget_that_is_over_before_anything_is_learned_is_told_of(
    batch: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notes(**budget: Any) -> list[str]:
        sizes = {"stages.0.batch_items": None, "stages.0.batch_tokens": None} | {f"stages.0.{batch}": few}
        made = Raw2Vec("contrastive", "dense", size="tiny", settings=sizes, **budget).fit(rows())
        return [note for note in made.report["notes"] if "next to nothing is learned" in note]

    monkeypatch.setattr(fit, "_FEW_STEPS", 1 << 40)
    (told,) = notes(minutes=0.01)
    assert told.endswith(f"give more --minutes, or --set stages.0.{batch}={few // 8}")
    assert not notes(steps=2), "steps were asked for"
    monkeypatch.setattr(fit, "_FEW_STEPS", 0)
    assert not notes(minutes=0.01)
