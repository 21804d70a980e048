"""Labels that are vectors: lists of fractions of one length."""

import numpy as np
import pyarrow as pa
import pytest

from raw2vec.errors import BadInput
from raw2vec.labels import Labels, cells
from raw2vec.system import Raw2Vec
from small import texts


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2)])
def test_lists_of_fractions_are_vectors(kind: pa.DataType) -> None:
    values = cells(pa.array([[1.0, 2.0], [3.0, 4.5]], kind))
    labels = Labels.learn(values)
    assert (labels.task, labels.outcomes) == ("vectors", 2)
    assert labels.numbers(values).tolist() == [[1.0, 2.0], [3.0, 4.5]]
    assert labels.numbers([[1, 2]]).dtype == np.float32
    assert Labels(**labels.as_dict()).outcomes == 2
    assert labels.words(labels.numbers(values)) == [[1.0, 2.0], [3.0, 4.5]]


def test_lists_of_words_and_of_whole_numbers_are_names_as_ever() -> None:
    assert Labels.learn(cells(pa.array([["a", "b"], ["b"]]))).task == "labels"
    assert Labels.learn(cells(pa.array([[1, 2], [2]]))).task == "labels"
    assert Labels.learn(cells(pa.array(["a", "b"]))).task == "classes"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([[1.0, 2.0], [3.0]], "Row 1 has 1 numbers in its 'v', where a vector of 2"),
        ([[1.0, 2.0], None], "Row 1 has 0 numbers in its 'v'"),
        ([[1.0, 2.0], [float("nan"), 1.0]], "Row 1 has a number that is not finite"),
        ([[], []], "Row 0 has a number|Row 0 has 0 numbers"),
    ],
)
def test_a_vector_that_is_none_is_named_by_its_row(values: list, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Labels.learn(cells(pa.array(values, pa.list_(pa.float64()))), "v")


def test_a_teacher_of_one_s_own_is_followed() -> None:
    """Any encoder's vectors in a column will do: they are what `fit --objective distillation` learns."""
    items = texts(400)
    vectors = [[float(len(item)), float(item.count("a")), float(item.count("e")), 1.0] for item in items]
    made = Raw2Vec("distillation", latent=3, encoder={"name": "dense", "width": 3}, steps=150)
    made.fit({"text": items, "said": vectors}, input="text", label="said")
    assert made.report["protocol"] == "agreement/1"
    assert made.report["metrics"]["cosine"] > 0.97
    assert set(made.report["baselines"]) == {"the teacher in 3 numbers", "TF-IDF+SVD"}
    again = made.evaluate({"text": items[:50], "said": vectors[:50]}, input="text", label="said")
    assert again.protocol == "agreement/1"
    with pytest.raises(BadInput, match="have 4 numbers"):
        Raw2Vec("distillation", latent=9, steps=1).fit({"text": items, "v": vectors}, input="text", label="v")
    with pytest.raises(BadInput, match="labels are vectors"):
        Raw2Vec("supervised", steps=1).fit({"text": items, "v": vectors}, input="text", label="v")
