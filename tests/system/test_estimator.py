"""Raw2Vec as a scikit-learn estimator: its own checks where they make sense for texts, and its tools at work."""

import inspect
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils import estimator_checks

from raw2vec import BadInput, Raw2Vec

# Checks of scikit-learn that hand over no data, and so hold for texts as for numbers.
CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_mixin_order",
    "check_get_params_invariance",
    "check_set_params",
    "check_parameters_default_constructible",
)
# All the others draw numeric matrices (n, F), which are tables and no texts, so not this estimator's to take.
# scikit-learn leaves them out itself for an estimator whose tags say so; below, what they ask is asked with texts.

TEXTS = ["open the file", "close the file", "read the file", "sort the list", "reverse the list", "copy the list"] * 5
LABELS = ["file", "file", "file", "list", "list", "list"] * 5


def small(**options: object) -> Raw2Vec:
    return Raw2Vec(encoder={"name": "dense", "width": 16, "layers": 0}, steps=4, **options)


@pytest.mark.parametrize("name", CHECKS)
def test_checks_of_scikit_learn(name: str) -> None:
    getattr(estimator_checks, name)("Raw2Vec", small())


def test_check_estimator_passes_whole() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it cannot test numbers on texts
        results = estimator_checks.check_estimator(small(), on_fail=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}


def test_a_table_s_file_is_embedded_indexed_and_grouped_by_whole_rows(tmp_path: Path) -> None:
    rows = "".join(f"{20 + n % 50},{('Rome', 'Oslo', 'Bern')[n % 3]}\n" for n in range(60))
    (tmp_path / "people.csv").write_text(f"age,city\n{rows}")
    model = Raw2Vec("reconstruction", kind="table", latent=4, steps=2).fit(tmp_path / "people.csv")
    for vectors in ("float32", "int8"):
        done = model.embed(tmp_path / "people.csv", tmp_path / f"{vectors}.npy", vectors=vectors)
        assert (done.items, done.input) == (60, "*")
    own = model.encode([{"age": 20, "city": "Rome"}, {"age": 21, "city": "Oslo"}])
    np.testing.assert_allclose(np.load(tmp_path / "float32.npy")[:2], own, atol=1e-5)
    assert len(model.group(tmp_path / "people.csv", input="*").groups) == 60
    pytest.importorskip("lancedb", reason="the embedded store is an extra: pip install 'raw2vec[store]'")
    assert model.index(tmp_path / "people.csv", tmp_path / "store").items == 60


def test_a_second_fit_forgets_the_folder_of_the_first(tmp_path: Path) -> None:
    model = small().fit(TEXTS, out=tmp_path / "m")
    assert model.source_ == str(tmp_path / "m")
    assert not hasattr(model.fit(TEXTS[:20]), "source_")


def test_fit_gives_itself_and_changes_no_parameter() -> None:
    model = small()
    before = model.get_params()
    assert model.fit(TEXTS) is model
    assert model.get_params() == before
    assert [name for name in vars(model) if name not in before and not name.startswith("_")] == [
        name for name in vars(model) if name.endswith("_")
    ], "what a fit finds ends in an underscore"


def test_unfitted_says_so() -> None:
    with pytest.raises(NotFittedError):
        small().transform(TEXTS)


def test_fitting_again_begins_anew_and_a_clone_gives_the_same() -> None:
    model = small().fit(TEXTS)
    first = model.transform(TEXTS)
    np.testing.assert_array_equal(model.fit(TEXTS).transform(TEXTS), first)
    np.testing.assert_array_equal(clone(model).fit_transform(TEXTS), first)
    assert not hasattr(clone(model), "parts_")


def test_the_input_is_not_changed_and_may_be_any_sequence() -> None:
    texts = list(TEXTS)
    model = small().fit(texts)
    assert texts == TEXTS
    vectors = model.transform(TEXTS)
    np.testing.assert_array_equal(model.transform(tuple(TEXTS)), vectors)
    np.testing.assert_array_equal(model.transform(np.array(TEXTS)), vectors)
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    np.testing.assert_array_equal(model.transform(pandas.Series(TEXTS)), vectors)
    np.testing.assert_array_equal(small().fit(pandas.Series(TEXTS)).transform(TEXTS), vectors)


def test_in_a_pipeline_a_search_and_a_union() -> None:
    pipeline = make_pipeline(small(), LogisticRegression())
    assert pipeline.fit(TEXTS, LABELS).score(TEXTS, LABELS) > 0.9
    grid = {"raw2vec__encoder": [{"name": "dense", "width": width, "layers": 0} for width in (8, 16)]}
    assert GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(TEXTS, LABELS).best_score_ > 0.5
    union = FeatureUnion([("a", small(seed=1)), ("b", small(seed=2))]).fit(TEXTS)
    assert union.transform(TEXTS).shape == (30, 32)
    names = small().fit(TEXTS).get_feature_names_out()
    assert (len(names), names[0], names[-1]) == (16, "raw2vec0", "raw2vec15")


def test_as_a_classifier() -> None:
    model = small(objective="supervised").fit(TEXTS, LABELS)
    assert list(model.classes_) == ["file", "list"]
    assert model.predict(TEXTS).shape == (30,)
    np.testing.assert_allclose(model.predict_proba(TEXTS).sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(BadInput, match="not trained on labels"):
        small().fit(TEXTS).predict(TEXTS)


def test_encode_takes_what_sentence_transformers_takes() -> None:
    theirs = pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'").SentenceTransformer
    ours = inspect.signature(Raw2Vec.encode).parameters
    own = [name for name in ours if name not in inspect.signature(theirs.encode).parameters]
    assert own == ["side", "purpose", "engine", "output_dtype"], (
        "theirs has one encoder for both sides of a pair, one engine, and calls the output's type its precision"
    )
    model = small().fit(TEXTS)
    assert model.encode(TEXTS, convert_to_tensor=True).shape == (30, 16)
    assert np.linalg.norm(model.encode("a file", truncate_dim=4, normalize_embeddings=True)) == pytest.approx(
        1, abs=1e-5
    )
    with pytest.raises(BadInput, match="int8"):
        model.encode(TEXTS, precision="int4")


@pytest.mark.parametrize(("device", "sentence"), [("gpuu", "There is no device 'gpuu'"), ("cuda:7", "needs a GPU")])
def test_a_device_that_is_not_there_is_refused_before_anything_is_read(device: str, sentence: str) -> None:
    if device.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(BadInput, match=sentence):
        Raw2Vec(device=device).fit("no-such-file.csv")
