"""Stores whose first pass reads small vectors: what they find, what they keep, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from raw2vec.errors import BadInput
from raw2vec.system import Raw2Vec, usual_mode
from raw2vec.use.stores import Store, open_store

pytest.importorskip("lancedb", reason="stores need lancedb: pip install 'raw2vec[store]'")

KINDS = ["int8", "binary"]
WIDTHS = [64, 44]  # whole words of bits, and not even whole bytes


def drawn(count: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Numbers of which the last go ten times as far as the first."""
    reach = np.linspace(0.3, 3, width)
    return (np.random.default_rng(seed).standard_normal((count, width)) * reach).astype(np.float32)


def stored(folder: Path, kind: str, vectors: NDArray[np.float32]) -> Store:
    store = Store.create(folder, vectors.shape[1], "space", vectors=kind)
    store.add(vectors, pa.table({"number": np.arange(len(vectors)) % 5}))
    store.finish()
    return store


def first_pass(kind: str, vectors: NDArray[np.float32], query: NDArray[np.float32], count: int) -> set[int]:
    """What small vectors put first, worked out in the plainest way."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    if kind == "binary":
        return set(np.argsort(((unit > 0) != (query > 0)).sum(axis=1), kind="stable")[:count].tolist())
    least, greatest = unit.min(axis=0), unit.max(axis=0)
    step = (greatest - least) / 255
    return set(np.argsort(-((np.floor((unit - least) / step) + 0.5) * step + least) @ query)[:count].tolist())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_best_of_a_first_pass_are_scored_exactly(tmp_path: Path, kind: str, width: int) -> None:
    vectors, queries = drawn(700, width), drawn(9, width, seed=1)
    store = stored(tmp_path / "s", kind, vectors)
    assert store.usual_mode == "rescored"
    found = store.search(queries, 5, rescore=3)
    cosines = (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ).T
    for query, line, hits in zip(queries, cosines, found, strict=True):
        among = sorted(first_pass(kind, vectors, query, 15), key=lambda row: -line[row])
        assert [hit.row for hit in hits] == among[:5]
        np.testing.assert_allclose([hit.score for hit in hits], line[among[:5]], atol=1e-5)
    everything = [[hit.row for hit in hits] for hits in store.search(queries, 5, rescore=700)]
    assert everything == [[hit.row for hit in hits] for hits in store.search(queries, 5, mode="exact")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_s_answer_is_the_same_alone_and_within_a_filter(tmp_path: Path, kind: str) -> None:
    vectors, queries = drawn(400, 64), drawn(4, 64, seed=1)
    vectors[100:200] = vectors[0]  # as near as each other: the first of them are looked at
    store = stored(tmp_path / "s", kind, vectors)
    together = store.search(queries, 3, rescore=2)
    assert together == [store.search(query[None], 3, rescore=2)[0] for query in queries]
    assert [hit.row for hit in store.search(vectors[:1], 3, rescore=2)[0]] == [0, 100, 101]
    kept = store.search(queries, 3, where="number = 2", rescore=2)
    assert all(hit.columns["number"] == 2 for hits in kept for hit in hits)
    assert len(store.search(queries, 100, where="number = 2")[0]) == 80


@pytest.mark.parametrize("kind", KINDS)
def test_small_vectors_follow_the_rows_and_are_made_anew_where_they_are_damaged(tmp_path: Path, kind: str) -> None:
    vectors, query = drawn(500, 64), drawn(1, 64, seed=1)
    store = stored(tmp_path / "s", kind, vectors[:200])
    small = tmp_path / "s" / f"small.{kind}"
    size = small.stat().st_size
    assert size == 200 * (64 if kind == "int8" else 8)
    store.add(vectors[200:], pa.table({"number": np.zeros(300, np.int64)}))
    before = [hit.row for hit in store.search(query, 5)[0]]
    assert small.stat().st_size == size * 5 // 2
    small.write_bytes(small.read_bytes()[:100])  # torn
    assert [hit.row for hit in Store.open(tmp_path / "s").search(query, 5)[0]] == before
    assert small.stat().st_size == size * 5 // 2
    (tmp_path / "s" / "small.json").write_text("{")
    assert [hit.row for hit in Store.open(tmp_path / "s").search(query, 5)[0]] == before


def test_small_vectors_of_other_ranges_are_not_taken_for_these(tmp_path: Path) -> None:
    vectors, query = drawn(500, 64), drawn(1, 64, seed=1)
    before = [hit.row for hit in stored(tmp_path / "s", "int8", vectors).search(query, 5)[0]]
    ranges = np.load(tmp_path / "s" / "ranges.npy")
    np.save(tmp_path / "s" / "ranges.npy", ranges * 2)
    held = (tmp_path / "s" / "small.int8").read_bytes()
    assert [hit.row for hit in Store.open(tmp_path / "s").search(query, 5, rescore=20)[0]] == before
    assert (tmp_path / "s" / "small.int8").read_bytes() != held


def test_what_a_store_does_not_hold_is_said(tmp_path: Path) -> None:
    store = stored(tmp_path / "s", "float32", drawn(60, 8))
    assert (store.usual_mode, usual_mode(tmp_path / "s")) == ("exact", "exact")
    assert not [*(tmp_path / "s").glob("small.*")]
    with pytest.raises(BadInput, match="holds no small vectors to search first"):
        store.search(drawn(1, 8), mode="rescored")
    with pytest.raises(BadInput, match="holds no small vectors to search first"):
        store.search(drawn(1, 8), rescore=8)
    with pytest.raises(BadInput, match="in the mode exact scores no rows again: leave out --rescore"):
        store.search(drawn(1, 8), mode="exact", rescore=8)
    with pytest.raises(BadInput, match="vectors of float32, int8, binary, not 'int4'"):
        Store.create(tmp_path / "other", 8, "space", vectors="int4")
    assert not (tmp_path / "other").exists()
    with pytest.raises(BadInput, match="or more times as many, not 0"):
        stored(tmp_path / "b", "binary", drawn(60, 8)).search(drawn(1, 8), rescore=0)
    known = json.loads((tmp_path / "s" / "store.json").read_text())
    del known["vectors"]  # as a store of before
    (tmp_path / "s" / "store.json").write_text(json.dumps(known))
    assert open_store(tmp_path / "s").vectors == "float32"


def test_a_model_s_store_is_searched_first_by_what_it_was_made_with(tmp_path: Path) -> None:
    texts = [f"{number} {'red' if number % 2 else 'blue'} cars" for number in range(60)]
    model = Raw2Vec(steps=3, size="tiny").fit(texts)
    model.index(texts, tmp_path / "s", vectors="binary", truncate_dim=24)
    hits = model.search(tmp_path / "s", texts[:3], k=1, rescore=20)
    assert [hit.row for (hit,) in hits] == [0, 1, 2]
    assert model.index(texts, tmp_path / "s", resume=True, truncate_dim=24).new == 0
    with pytest.raises(BadInput, match="searched by vectors of binary, not int8"):
        model.index(texts, tmp_path / "s", resume=True, truncate_dim=24, vectors="int8")
