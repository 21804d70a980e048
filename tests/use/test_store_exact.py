"""Exact search against a brute-force oracle in float64, whatever the sizes, filters, ties and batches."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raw2vec.errors import NonFinite
from raw2vec.use.stores import exact
from raw2vec.use.stores.base import checked, fuse, normalized
from raw2vec.use.stores.columns import words
from raw2vec.use.stores.recall import measured


def drawn(seed: int, rows: int, width: int) -> NDArray[np.float32]:
    """Vectors with repeats and rows of zeros among them, of very different lengths."""
    generator = np.random.default_rng(seed)
    vectors = generator.integers(-2, 3, (rows, width)).astype(np.float32)
    return vectors * generator.choice(np.float32([1e-30, 1, 3, 1e30]), (rows, 1))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return normalized(vectors).astype(np.float32)


def oracle(
    values: NDArray[np.float32], query: NDArray[np.float32], k: int, among: NDArray[np.int64]
) -> list[tuple[int, float]]:
    scores = (values.astype(np.float64) * normalized(query[None])).sum(axis=1).clip(-1, 1).astype(np.float32)
    return sorted(((row, scores[row]) for row in among.tolist()), key=lambda hit: (-hit[1], hit[0]))[:k]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(0, 700),
    width=st.integers(1, 40),
    queries=st.integers(1, 9),
    k=st.integers(1, 60),
    kept=st.sampled_from([None, 0.0, 0.05, 0.5, 1.0]),
    block=st.sampled_from([7, 64, 1 << 15]),
)
def test_the_same_hits_as_brute_force(
    seed: int, rows: int, width: int, queries: int, k: int, kept: float | None, block: int
) -> None:
    values, asked = unit(drawn(seed, rows, width)), drawn(seed + 1, queries, width)
    everything = np.arange(rows)
    among = None if kept is None else everything[np.random.default_rng(seed).random(rows) < kept]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "_BLOCK", block)
        patch.setattr(exact, "_GROUP", 4)
        found = exact.nearest(values, asked, k, among)
    for query, (found_rows, scores) in zip(asked, found, strict=True):
        wanted = oracle(values, query, k, everything if among is None else among)
        assert len(wanted) == len(found_rows) == len(scores)
        np.testing.assert_allclose(scores, [score for _, score in wanted], atol=2e-7)
        exactly = dict(oracle(values, query, rows, everything))
        np.testing.assert_allclose(scores, [exactly[row] for row in found_rows.tolist()], atol=2e-7)
        pairs = list(zip((-scores).tolist(), found_rows.tolist(), strict=True))
        assert pairs == sorted(set(pairs))


def test_a_query_is_answered_the_same_alone_and_in_any_batch() -> None:
    generator = np.random.default_rng(0)
    values = unit(generator.standard_normal((40_000, 24)).astype(np.float32))
    asked = generator.standard_normal((33, 24)).astype(np.float32)
    together = exact.nearest(values, asked, 10)
    for place in (0, 7, 32):
        alone = exact.nearest(values, asked[place][None], 10)[0]
        np.testing.assert_array_equal(alone[0], together[place][0])
        np.testing.assert_array_equal(alone[1], together[place][1])


def test_equal_rows_come_in_their_order_however_many() -> None:
    row = np.random.default_rng(1).standard_normal((1, 33)).astype(np.float32)
    values = np.repeat(unit(row), 70_001, axis=0)
    found, scores = exact.nearest(values, row, 20)[0]
    assert found.tolist() == list(range(20))
    assert len(set(scores.tolist())) == 1


class Rows:
    """Vectors that count how often and from where they are read."""

    def __init__(self, vectors: NDArray[np.float32]):
        self.vectors, self.starts = vectors, list[int]()

    def __call__(self, start: int) -> list[NDArray[np.float32]]:
        self.starts.append(start)
        return [self.vectors[start : start + 10], self.vectors[start + 10 :]]


@pytest.fixture
def rows() -> Rows:
    return Rows(np.random.default_rng(2).standard_normal((50, 6)).astype(np.float32))


def test_the_matrix_is_made_once_and_grows_at_its_end(tmp_path: Path, rows: Rows) -> None:
    everything = rows.vectors
    rows.vectors = everything[:30]
    matrix = exact.Matrix(tmp_path, "a store", 6)
    np.testing.assert_array_equal(matrix.rows(30, rows), unit(everything[:30]))
    matrix.rows(20, rows)
    exact.Matrix(tmp_path, "a store", 6).rows(30, rows)
    assert rows.starts == [0]
    rows.vectors = everything
    np.testing.assert_array_equal(matrix.rows(50, rows), unit(everything))
    assert rows.starts == [0, 30]


def test_another_stores_matrix_or_a_short_one_is_made_again(tmp_path: Path, rows: Rows) -> None:
    exact.Matrix(tmp_path, "a store", 6).rows(50, rows)
    other = Rows(rows.vectors[::-1].copy())
    np.testing.assert_array_equal(exact.Matrix(tmp_path, "another", 6).rows(50, other), unit(other.vectors))
    with (tmp_path / "vectors.f32").open("r+b") as file:
        file.truncate(100)
    np.testing.assert_array_equal(exact.Matrix(tmp_path, "another", 6).rows(50, other), unit(other.vectors))
    (tmp_path / "vectors.json").write_text("[")
    np.testing.assert_array_equal(exact.Matrix(tmp_path, "another", 6).rows(50, other), unit(other.vectors))


def test_what_an_interrupted_write_left_is_written_over(tmp_path: Path, rows: Rows) -> None:
    everything = rows.vectors
    rows.vectors = everything[:30]
    exact.Matrix(tmp_path, "a store", 6).rows(30, rows)
    with (tmp_path / "vectors.f32").open("ab") as file:
        file.write(b"\xff" * 77)
    rows.vectors = everything
    np.testing.assert_array_equal(exact.Matrix(tmp_path, "a store", 6).rows(50, rows), unit(everything))


def test_in_a_read_only_folder_the_matrix_is_held_in_memory(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(exact, "locked", refused)
    np.testing.assert_array_equal(exact.Matrix(tmp_path, "a store", 6).rows(50, rows), unit(rows.vectors))
    assert not list(tmp_path.iterdir())


def test_a_non_finite_row_is_named() -> None:
    vectors = np.ones((5, 3))
    vectors[3, 1] = np.nan
    with pytest.raises(NonFinite, match="index 3 "):
        checked(vectors, 3, "vectors")
    vectors[3, 1], vectors[1, 0] = 0, 1e300  # too large for a float32
    with pytest.raises(NonFinite, match="index 1 "):
        checked(vectors, 3, "vectors")


def test_fusion_rewards_agreement() -> None:
    assert fuse([np.array([5, 3, 1]), np.array([3, 9])]).tolist() == [3, 5, 9, 1]
    assert fuse([np.array([5, 3]), np.array([3, 5])]).tolist() == [3, 5]
    assert fuse([np.array([1, 2, 3]), np.array([4, 5, 3])]).tolist() == [3, 1, 4, 2, 5]
    assert fuse([np.array([4], np.int64), np.array([], np.int64)]).tolist() == [4]


def test_identifiers_are_found_whole_and_in_parts() -> None:
    assert (
        words("parse_url(HTTPServer2) _private x") == "parse_url parse url httpserver2 http server2 _private private x"
    )
    assert words("Größe 数据 don't") == "größe 数据 don t"
    assert words(None) == words("?!") == ""


def test_recall_is_that_of_the_fewest_probes_that_meet_the_goal_and_counts_no_query_as_its_own_answer() -> None:
    queries, own = np.zeros((4, 2), np.float32), np.array([7, 7, 7, -1])
    everything = np.arange(30)

    def truth(query: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        return everything[:k]

    def near(query: NDArray[np.float32], k: int, probes: int) -> NDArray[np.int64]:
        found = {8: 1, 16: 6, 32: 9}[probes]  # of the first ten, row 7 first
        return np.concatenate([[7], np.setdiff1d(everything, [7])[:found], everything[20:]])[:k]

    built = measured(queries, own, 30, truth, near, goal=0.6, partitions=100)
    assert (built.probes, built.queries, built.rows) == (16, 4, 30)
    assert built.recall == pytest.approx((3 * 6 + 7) / 40)
    assert measured(queries, own, 30, truth, near, goal=1.0, partitions=32).probes == 32
