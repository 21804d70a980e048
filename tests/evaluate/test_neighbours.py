"""The protocols knn and linear-probe: votes by hand, rows of their own to learn from, every kind of label."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import raw2vec
from raw2vec.errors import BadInput
from raw2vec.evaluate import KNN, LINEAR_PROBE, protocol
from raw2vec.evaluate.neighbours import NEIGHBOURS, of_classes, of_numbers, of_several

NO_FOLDS = np.zeros(3, np.int64)
LEARNT = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
MEASURED = np.array([[2.0, 0.0], [0.0, 0.5]])


def weights() -> np.ndarray:
    """e^(cosine / 0.1), as shares of the whole."""
    cosines = np.array([[1.0, 0.8, 0.0], [0.0, 0.6, 1.0]])
    found = np.exp(cosines / 0.1)
    return found / found.sum(axis=1, keepdims=True)


def test_a_neighbour_weighs_by_its_cosine() -> None:
    """Beside the first there are two near ones of another class, and still it outweighs both."""
    learnt = np.vstack([LEARNT, LEARNT[1:2]])
    assert of_classes(learnt, np.array([4, 2, 2, 2]), np.zeros(4), MEASURED)[""].tolist() == [4, 2]
    few = np.array([[1.0, 0.0], [0.98, 0.2], [0.98, 0.2]])
    assert of_classes(few, np.array([4, 2, 2]), NO_FOLDS, MEASURED[:1])[""].tolist() == [2]


def test_numbers_and_several_labels_are_weighted_means() -> None:
    said = of_numbers(LEARNT, np.array([10.0, 20.0, 40.0]), NO_FOLDS, MEASURED)[""]
    np.testing.assert_allclose(said, weights() @ [10.0, 20.0, 40.0])
    labels = np.array([[1, 0], [1, 1], [0, 1]])
    expected = (weights() @ labels >= 0.5).astype(int)
    assert of_several(LEARNT, labels, NO_FOLDS, MEASURED)[""].tolist() == expected.tolist()


def test_of_many_rows_the_nearest_200_vote() -> None:
    """300 rows of one class at right angles, and 201 nearer ones of another: those further off are not asked."""
    near, far = np.tile([1.0, 0.1], (NEIGHBOURS + 1, 1)), np.tile([0.999, 0.11], (100_000, 1))
    classes = np.repeat([0, 1], [len(near), len(far)])
    asked = np.array([[1.0, 0.1]])
    assert of_classes(np.vstack([near, far]), classes, np.zeros(len(classes)), asked)[""].tolist() == [0]


def test_beside_them_the_nearest_20_vote() -> None:
    """30 rows of one class a little off, 20 of another straight ahead: of all, the first outweigh the second."""
    learnt = np.repeat([[1.0, 0.0], [1.0, 0.01]], [20, 30], axis=0)
    said = of_classes(learnt, np.repeat([0, 1], [20, 30]), np.zeros(50), np.array([[1.0, 0.0]]))
    assert {name: classes.tolist() for name, classes in said.items()} == {"": [1], "knn20_": [0]}


def test_both_are_protocols_with_versions_and_read_texts() -> None:
    assert protocol("knn/1") is KNN
    assert protocol("linear-probe") is LINEAR_PROBE
    texts = [f"{'good' if i % 2 else 'bad'} film {i}" for i in range(60)]

    def telling(items: list[str], role: str) -> np.ndarray:
        return np.array([[1.0, "good" in item, len(item)] for item in items])

    learnt = {"input": texts, "label": [i % 2 for i in range(60)]}
    asked = {"input": ["a good one", "a bad one"], "label": [1, 0]}
    for each in (KNN, LINEAR_PROBE):
        report = each.run(telling, asked, train=learnt)
        assert report.protocol == f"{each.name}/1"
        assert list(report.metrics)[:2] == ["accuracy", "macro_f1"]
        assert list(report.metrics)[2:] == (["knn20_accuracy", "knn20_macro_f1"] if each is KNN else [])
        assert set(report.baselines) == {"majority", "TF-IDF", "TF-IDF+SVD"}
        assert report.items == 2


@pytest.fixture(scope="module")
def model() -> raw2vec.Raw2Vec:
    pictures, _ = digits(slice(0, 200))
    return raw2vec.Raw2Vec("reconstruction", steps=20, latent=8, size="tiny").fit(pictures)


def digits(part: slice) -> tuple[np.ndarray, np.ndarray]:
    held = load_digits()
    return (held.images[part] * 15).astype(np.uint8), held.target[part]


def table(path: Path, part: slice) -> str:
    pictures, labels = digits(part)
    np.savez(path, image=pictures, digit=labels)
    return str(path)


@pytest.mark.parametrize("name", ["knn", "linear-probe"])
def test_a_model_of_pictures_beside_raw_pixels_and_pca(name: str, model: raw2vec.Raw2Vec, tmp_path: Path) -> None:
    data, train = table(tmp_path / "new.npz", slice(200, 300)), table(tmp_path / "known.npz", slice(0, 200))
    split = model.evaluate(data, name, input="image", label="digit")
    assert 15 < split.items < 30
    found = model.evaluate(data, name, input="image", label="digit", train=train)
    assert found.items == 100
    assert {"raw values", "PCA"} < set(found.baselines)
    assert found.baselines["raw values"]["accuracy"] > 0.8
    with pytest.raises(BadInput, match="'space' learns from no rows: --train is for knn and linear-probe"):
        model.evaluate(data, "space", input="image", train=train)
