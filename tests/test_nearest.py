"""The nearest others, beside all cosines at once."""

import numpy as np
import pytest

from raw2vec import neighbours


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(57, 6)).astype(np.float32)


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit @ unit.T)


@pytest.mark.parametrize("scores", [1 << 24, 200])
def test_nearest_is_exact_whatever_the_block(vectors: np.ndarray, scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_SCORES", scores)
    places, found = neighbours.nearest(vectors, 5)
    wanted = cosines(vectors)
    np.fill_diagonal(wanted, -2)
    np.testing.assert_array_equal(places, np.argsort(-wanted, axis=1)[:, :5])
    np.testing.assert_allclose(found, -np.sort(-wanted, axis=1)[:, :5], atol=1e-5)


def test_few_vectors_have_few_neighbours_and_zeros_are_like_nothing(vectors: np.ndarray) -> None:
    assert neighbours.nearest(vectors[:3], 10)[0].shape == (3, 2)
    assert neighbours.nearest(vectors[:1], 10)[0].shape == (1, 0)
    vectors[4] = 0
    assert not neighbours.nearest(vectors, 5)[1][4].any()


@pytest.mark.parametrize("scores", [1 << 24, 200])
def test_alike_gives_every_pair_once(vectors: np.ndarray, scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_SCORES", scores)
    left, right = neighbours.alike(vectors, 0.5)
    wanted = np.argwhere(np.triu(cosines(vectors) >= 0.5, 1))
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == sorted(map(tuple, wanted.tolist()))
    assert len(left) > 10
