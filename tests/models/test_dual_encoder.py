"""Two encoders into one space: fitted on small real pairs, saved, asked from both sides, searched and judged."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import raw2vec
from raw2vec.errors import BadFolder, BadInput, WrongSpace
from raw2vec.evaluate import CROSS_RETRIEVAL
from raw2vec.models import DualEncoder

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SMALL = {"encoder.width": 24, "encoder.layers": 2, "encoder.halvings": 1, "target.encoder.width": 24}
SMALL |= {"latent.width": 16, "target.latent.width": 16, "stages.0.batch_items": 64, "training.checks": 2}


@cache
def digits() -> tuple[np.ndarray, list[str]]:
    """Pictures (n, 8, 8) and what they are called, in words."""
    loaded = load_digits()
    called = [f"the {WORDS[digit]} that somebody wrote" for digit in loaded.target]
    return (loaded.images * 15).astype(np.uint8), called


def pairs(start: int = 0, stop: int = 600) -> dict[str, Any]:
    pictures, called = digits()
    return {"image": pictures[start:stop], "text": called[start:stop]}


@cache
def fitted() -> raw2vec.Raw2Vec:
    model = raw2vec.Raw2Vec(steps=60, settings={**SMALL, "training.learning_rate": 3e-3}, seed=0)
    return model.fit(pairs(), input="image", target="text")


def test_words_find_pictures_and_pictures_words() -> None:
    model = fitted()
    assert isinstance(model.parts_.model, DualEncoder)
    found = model.evaluate(pairs(600, 1000), input="image", target="text")
    assert found.protocol == "cross-retrieval/1"
    chance = found.baselines["chance"]
    assert found.metrics["reverse_recall@1"] > 4 * chance["reverse_recall@1"], "a picture finds its word among ten"
    assert model.report["protocol"] == "cross-retrieval/1"


def test_each_side_has_its_own_encoder() -> None:
    model, (pictures, called) = fitted(), digits()
    seen, read = model.encode(list(pictures[:5])), model.encode(called[:5])
    assert seen.shape == read.shape == (5, 16)
    np.testing.assert_array_equal(seen, model.encode(list(pictures[:5]), side="input"))
    np.testing.assert_array_equal(read, model.encode(called[:5], side="target"))
    assert model.encode(called[0]).shape == (16,), "a single text is told by what it is, too"
    assert model.encode(pictures[0]).shape == (16,)
    with pytest.raises(BadInput, match="Text 0 is a ndarray"):
        model.encode(list(pictures[:2]), side="target")


def test_a_folder_brings_both_sides_back(tmp_path: Path) -> None:
    model, (pictures, called) = fitted(), digits()
    model.save(tmp_path / "clip")
    again = raw2vec.load(tmp_path / "clip")
    assert again.fingerprint_ == model.fingerprint_
    np.testing.assert_array_equal(again.encode(list(pictures[:9])), model.encode(list(pictures[:9])))
    np.testing.assert_array_equal(again.encode(called[:9]), model.encode(called[:9]))
    assert (tmp_path / "clip" / "target" / "tokenizer.json").exists()
    words, vectors = again.parts_.golden_targets or ([], np.zeros(0))
    np.testing.assert_allclose(model.encode(words, side="target"), vectors, atol=1e-5)
    assert {part.name.split(".")[0] for part in again.inspect(pairs(0, 9)).parts} == {"input", "target"}
    with pytest.raises(BadInput, match="give pairs"):
        again.inspect(list(pictures[:4]))
    (tmp_path / "clip" / "target" / "tokenizer.json").write_text("{}")
    with pytest.raises(BadFolder, match=r"tokenizer\.json"):
        raw2vec.load(tmp_path / "clip")


def test_names_tell_what_nobody_trained_on() -> None:
    model, (pictures, _) = fitted(), digits()
    truth = load_digits().target[600:800]
    told = model.predict(list(pictures[600:800]), labels=WORDS, templates=["the {} that somebody wrote"])
    assert np.mean(told == np.array(WORDS)[truth]) > 0.5
    data = {"image": pictures[600:800], "label": [WORDS[digit] for digit in truth]}
    found = model.evaluate(data, "zero-shot", input="image", label="label")
    assert found.metrics["accuracy"] > found.baselines["commonest class"]["accuracy"] + 0.2
    data["label"][7] = " "
    with pytest.raises(BadInput, match="Item 7 has no label"):
        model.evaluate(data, "zero-shot", input="image", label="label")
    with pytest.raises(BadInput, match="two labels or more"):
        model.predict(list(pictures[:2]), labels=["one"])
    with pytest.raises(BadInput, match=r"has no \{\}"):
        model.predict(list(pictures[:2]), labels=WORDS, templates=["a digit"])
    with pytest.raises(BadInput, match="reads words"):
        raw2vec.Raw2Vec(steps=1, latent=4).fit(pictures[:60]).predict(list(pictures[:2]), labels=WORDS)


def test_words_search_a_store_of_pictures(tmp_path: Path) -> None:
    pytest.importorskip("lancedb", reason="needs the extra 'store'")
    model = fitted()
    done = model.index(pairs(600, 800), tmp_path / "store")
    assert done.items == 200
    hits = model.search(tmp_path / "store", ["the nine that somebody wrote"], k=10)[0]
    assert sum("nine" in hit.columns["text"] for hit in hits) >= 5, "pictures are what was indexed"
    alike = model.search(tmp_path / "store", [digits()[0][600]], k=1)[0][0]
    assert alike.row == 0, "a picture finds itself"
    model.save(tmp_path / "clip")
    other = raw2vec.Raw2Vec(steps=2, settings=SMALL, seed=1).fit(pairs(0, 100), input="image", target="text")
    with pytest.raises(WrongSpace):
        other.search(tmp_path / "store", ["nine"])


def test_either_side_may_be_the_input() -> None:
    """Words as inputs, pictures as targets: items are still read by the side whose kind they are."""
    pictures, called = digits()
    held, small = pairs(0, 300), {"encoder.width": 24, "target.encoder.width": 24, "target.encoder.layers": 1}
    model = raw2vec.Raw2Vec(steps=5, settings={**small, "stages.0.batch_items": 64})
    model.fit({"text": held["text"], "image": held["image"]}, input="text", target="image")
    assert model.parts_.recipe.target is not None
    assert (model.parts_.recipe.kind, model.parts_.recipe.target.kind) == ("text", "image")
    np.testing.assert_array_equal(model.encode(called[:3]), model.encode(called[:3], side="input"))
    np.testing.assert_array_equal(model.encode(list(pictures[:3])), model.encode(list(pictures[:3]), side="target"))
    assert set(model.predict(list(pictures[:9]), labels=WORDS)) <= set(WORDS)
    assert model.predict(pictures[0], labels=WORDS).shape == (1,), "one picture is one item, and not its rows"
    assert len(model.group({"image": pictures[:20]}, threshold=0.9).groups) == 20
    data = {"image": pictures[:40], "label": [WORDS[digit] for digit in load_digits().target[:40]]}
    assert model.evaluate(data, "zero-shot", input="image", label="label").items == 40


def test_texts_may_have_an_encoder_a_side() -> None:
    part = {"kind": "text", "encoder": {"name": "dense", "width": 16}, "latent": {"name": "point", "width": 8}}
    rows = [(f"open file {n}", f"def open{n}(): read") for n in range(80)]
    model = raw2vec.Raw2Vec(steps=3, settings={"target": part, "latent.width": 8}).fit(rows)
    assert isinstance(model.parts_.model, DualEncoder)
    assert not np.allclose(model.encode("open"), model.encode("open", side="target"))


def test_the_sigmoid_loss_learns_as_well() -> None:
    objective = [{"name": "contrastive", "loss": "sigmoid", "temperature": 0.1}]
    settings = {**SMALL, "training.learning_rate": 3e-3, "stages.0.objectives": objective}
    model = raw2vec.Raw2Vec(steps=60, settings=settings).fit(pairs(), input="image", target="text")
    history = [check["held_out"] for check in model.report["history"]]
    assert history[-1] < 0.9, "missed, of a perfect 0"


def test_a_side_can_be_locked() -> None:
    settings = {**SMALL, "stages.0.frozen": ["target"], "training.start": "random"}
    model = raw2vec.Raw2Vec(steps=3, settings=settings).fit(pairs(0, 200), input="image", target="text")
    fresh = raw2vec.Raw2Vec(steps=1, settings=settings).fit(pairs(0, 200), input="image", target="text")
    for name, weight in model.parts_.model.target.state_dict().items():
        assert weight.equal(fresh.parts_.model.target.state_dict()[name]), name
    moved = [name for name, weight in model.parts_.model.input.named_parameters()
             if not weight.equal(dict(fresh.parts_.model.input.named_parameters())[name])]  # fmt: skip
    assert moved


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target.latent.width": 8}, "cannot be compared"),
        ({"stages.0.objectives": ["masked"]}, "know no objective 'masked'"),
        ({"decoder": "dense"}, "no way back"),
        ({"target.encoder.name": "transfomer"}, "Did you mean 'transformer'"),
        ({"target.kind": "txt"}, "Did you mean 'text'"),
        ({"target.colour": 1}, "target.colour"),
        ({"stages.0.objectives": [{"name": "contrastive", "drop": 1.5}]}, "chance to drop"),
    ],
)
def test_what_makes_no_sense_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        raw2vec.Raw2Vec(steps=1, settings={**SMALL, **change}).fit(pairs(0, 80), input="image", target="text")


def test_a_side_that_is_always_the_same_is_refused() -> None:
    pictures, called = digits()
    with pytest.raises(BadInput, match="'text' holds the same target in every row"):
        raw2vec.Raw2Vec(steps=1).fit({"image": pictures[:99], "text": ["a digit"] * 99}, input="image", target="text")
    same = np.repeat(pictures[:1], 99, axis=0)
    model = raw2vec.Raw2Vec(steps=1, settings={"training.hold_out": 0})
    with pytest.raises(BadInput, match="'image' holds the same input in every row"):
        model.fit({"image": same, "text": called[:99]}, input="image", target="text")


def test_rows_without_a_caption_are_passed_over() -> None:
    pictures, called = digits()
    some = [text if number % 3 else "" for number, text in enumerate(called[:300])]
    model = raw2vec.Raw2Vec(steps=3, settings=SMALL)
    model.fit({"image": pictures[:300], "text": some}, input="image", target="text")
    assert np.isfinite(model.encode(list(pictures[:3]))).all()
    assert "left out: 100 rows without anything in 'image' or 'text'" in model.report["notes"]


def test_identical_items_are_one_answer() -> None:
    """Two rows have one text and one picture of their own: each may be answered by either."""
    spots = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.9, 0.1]}
    columns = {"input": ["a", "c", "b"], "target": ["x", "x", "y"]}
    told = {**spots, "x": [1.0, 0.0], "y": [0.0, 1.0]}
    found = CROSS_RETRIEVAL.run(lambda items, role: np.array([told[item] for item in items]), columns)
    assert found.metrics["recall@1"] == 1
    assert found.metrics["reverse_recall@1"] == 1
