"""Near-duplicates and clusters of made vectors, whose groups are known."""

import numpy as np
import pytest

from raw2vec.errors import BadInput
from raw2vec.use.group import group


@pytest.fixture
def vectors() -> np.ndarray:
    """Three directions with 6, 3 and 2 near-copies, and two items like nothing."""
    generator = np.random.default_rng(0)
    middles = np.eye(5, 12)
    rows = [middles[n] + 0.01 * generator.normal(size=12) for n, count in enumerate((2, 6, 3)) for _ in range(count)]
    return np.array([*rows, *middles[3:5]], np.float32)


def test_groups_are_numbered_by_size_and_the_lonely_have_none(vectors: np.ndarray) -> None:
    found = group(vectors, 0.95)
    assert found.groups.tolist() == [2, 2, *[0] * 6, *[1] * 3, -1, -1]
    assert found.sizes == [6, 3, 2]
    assert [found.groups[place] for place in found.representatives] == [0, 1, 2]


def test_links_make_one_group_of_a_chain() -> None:
    turn = np.deg2rad([0, 10, 20, 30, 90])
    chain = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    assert group(chain, np.cos(np.deg2rad(11))).groups.tolist() == [0, 0, 0, 0, -1]
    assert group(chain, np.cos(np.deg2rad(9))).groups.tolist() == [-1] * 5


def test_clusters_are_found_or_as_many_as_asked(vectors: np.ndarray) -> None:
    many = np.concatenate([vectors[:11]] * 4)
    many += 0.01 * np.random.default_rng(1).normal(size=many.shape)
    found = group(many, 0.999)
    assert len(set(found.clusters[:2])) == len(set(found.clusters[2:8])) == len(set(found.clusters[8:11])) == 1
    assert found.clusters.max() == 2
    assert np.bincount(group(many, 0.999, clusters=5).clusters).tolist() == sorted(
        np.bincount(group(many, 0.999, clusters=5).clusters).tolist(), reverse=True
    )
    np.testing.assert_array_equal(found.clusters, group(many, 0.999).clusters)


@pytest.mark.parametrize(
    ("threshold", "clusters", "said"), [(0, None, "a cosine"), (1.2, None, "a cosine"), (0.9, 99, "13 items")]
)
def test_what_makes_no_sense_is_refused(vectors: np.ndarray, threshold: float, clusters: int | None, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        group(vectors, threshold, clusters)
