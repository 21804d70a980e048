"""The embedded store: what goes in comes out, each row once, and what cannot be used is said in a sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raw2vec.errors import BadFolder, BadInput, NonFinite, WrongSpace
from raw2vec.use.stores import Store, create_store, open_store

pytest.importorskip("lancedb", reason="the embedded store is an extra: pip install 'raw2vec[store]'")

ROWS, WIDTH = 300, 8
AWKWARD = ["it's", 'a "quoted" one', "two\nlines", "naïve Größe 数据 🙂", "", "a\\b%_`c`", "'; drop table rows; --"]
VECTORS = np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32)
TITLES = [f"{AWKWARD[row % len(AWKWARD)]} {row}" for row in range(ROWS)]
COLUMNS = pa.table({"title": TITLES, "number": pa.array(np.arange(ROWS) % 10), "Big Name": pa.array(np.arange(ROWS))})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store", WIDTH, "space-1", model="tickets", text="title")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store.create(tmp_path_factory.mktemp("full") / "store", WIDTH, "space-1", text="title")
    for start in range(0, ROWS, 100):
        store.add(VECTORS[start : start + 100], COLUMNS.slice(start, 100))
    store.finish()
    return store


def cosines(query: NDArray[np.float32]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(VECTORS.astype(np.float64), axis=1) * np.linalg.norm(query)
    return VECTORS.astype(np.float64) @ query / lengths


def test_the_nearest_rows_come_with_their_cosines_and_columns(full: Store) -> None:
    query = np.random.default_rng(1).standard_normal(WIDTH).astype(np.float32)
    scores = cosines(query)
    (hits,) = full.search(query[None], k=7)
    assert [hit.row for hit in hits] == np.argsort(-scores)[:7].tolist()
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][:7], atol=1e-6)
    assert [hit.columns for hit in hits] == [COLUMNS.slice(hit.row, 1).to_pylist()[0] for hit in hits]


FILTERS: list[tuple[str, Callable[[int], NDArray[np.bool_]]]] = [
    ("number = {}", lambda n: np.arange(ROWS) % 10 == n),
    ("number > {} and `Big Name` < 200", lambda n: (np.arange(ROWS) % 10 > n) & (np.arange(ROWS) < 200)),
    ("`Big Name` in (3, {}, 250)", lambda n: np.isin(np.arange(ROWS), [3, n, 250])),
    ("title like '%{}'", lambda n: np.array([title.endswith(str(n)) for title in TITLES])),
    ("title is null or number * 0 + {} < 0", lambda n: np.zeros(ROWS, bool)),
]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, ROWS + 5),
    queries=st.integers(1, 8),
    kind=st.sampled_from(FILTERS),
    number=st.integers(0, 9),
)
def test_a_filtered_search_is_exact_among_the_rows_it_keeps(
    full: Store, seed: int, k: int, queries: int, kind: tuple[str, Callable[[int], NDArray[np.bool_]]], number: int
) -> None:
    kept = np.flatnonzero(kind[1](number))
    asked = np.random.default_rng(seed).standard_normal((queries, WIDTH)).astype(np.float32)
    for query, hits in zip(asked, full.search(asked, k, where=kind[0].format(number)), strict=True):
        scores = cosines(query)[kept]
        assert [hit.row for hit in hits] == kept[np.argsort(-scores)][:k].tolist()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("nummer = 3", "no column 'nummer'. Did you mean 'number'?"),
        ("number = = 3", "parser error"),
        ("number = 'x'", "could not convert"),
        ("number", "boolean"),
        ("", "parser error"),
        ("number = 3; drop table rows", "parser error"),
        ("1 / (number - number) = 1", "Divide by zero"),
    ],
)
def test_a_filter_that_cannot_be_used_is_refused_with_the_columns_there_are(full: Store, where: str, says: str) -> None:
    with pytest.raises(BadInput, match="The columns are: title, number, `Big Name`") as refused:
        full.search(VECTORS[:1], where=where)
    assert says in str(refused.value)
    assert ".rs:" not in str(refused.value)


def test_an_empty_store_one_row_and_more_hits_than_rows(store: Store) -> None:
    assert len(store) == 0
    assert store.search(VECTORS[:2]) == [[], []]
    assert store.search(VECTORS[:2], texts=["a", "b"], mode="hybrid", where="number = 1") == [[], []]
    store.finish()
    assert store.add(VECTORS[:0], COLUMNS.slice(0, 0)) == 0
    assert store.add(VECTORS[:1], COLUMNS.slice(0, 1)) == 1
    assert [hit.row for hit in store.search(VECTORS[:1], k=10)[0]] == [0]
    assert store.search(VECTORS[:0]) == []


def test_a_store_needs_no_columns(tmp_path: Path) -> None:
    store = Store.create(tmp_path, WIDTH, "space-1")
    store.add(VECTORS[:3])
    store.add(VECTORS[3:5].astype(np.float64))
    assert [(hit.row, hit.columns) for hit in store.search(VECTORS[4:5], k=1)[0]] == [(4, {})]


def test_a_store_is_the_same_opened_again(store: Store) -> None:
    store.add(VECTORS, COLUMNS, source="a file")
    again = Store.open(store.folder, "space-1")
    assert (len(again), again.width, again.fingerprint, again.model, again.text, again.columns) == (
        (ROWS, WIDTH, "space-1", "tickets", "title", ["title", "number", "Big Name"])
    )
    assert again.search(VECTORS[:5]) == store.search(VECTORS[:5])
    assert again.resume_point("a file") == ROWS


def test_rows_already_committed_are_left_out(store: Store) -> None:
    assert store.resume_point("a") == 0
    assert store.add(VECTORS[:50], COLUMNS.slice(0, 50), source="a", positions=range(50)) == 50
    assert store.add(VECTORS[:50], COLUMNS.slice(0, 50), source="a", positions=range(50)) == 0
    assert store.add(VECTORS[40:60], COLUMNS.slice(40, 20), source="a", positions=range(40, 60)) == 10
    assert store.add(VECTORS[60:70], COLUMNS.slice(60, 10), source="it's b") == 10
    gaps = np.array([61, 65, 80])
    assert store.add(VECTORS[gaps], COLUMNS.take(gaps), source="a", positions=gaps) == 3
    assert [store.resume_point(source) for source in ("a", "it's b", "c")] == [81, 10, 0]
    assert len(store) == 73
    other = Store.open(store.folder)
    assert other.add(VECTORS[90:95], COLUMNS.slice(90, 5), source="a") == 5
    assert store.resume_point("a") == 86
    assert sorted(hit.row for hit in store.search(VECTORS[:1], k=100)[0]) == list(range(78))


def test_a_handle_reads_its_version_until_it_is_refreshed(store: Store) -> None:
    store.add(VECTORS[:100], COLUMNS.slice(0, 100))
    reader = Store.open(store.folder)
    for start in (100, 200):
        store.add(VECTORS[start : start + 100], COLUMNS.slice(start, 100))
    asked = {"k": ROWS, "where": "number < 5"}
    assert (len(reader), len(reader.search(VECTORS[:1], **asked)[0])) == (100, 50)
    store.finish()  # removes the files of the reader's version: it moves on to the newest
    assert {len(reader.search(VECTORS[:1], **asked)[0])} <= {50, 150}
    reader.refresh()
    assert (len(reader), len(reader.search(VECTORS[:1], **asked)[0])) == (ROWS, 150)


def test_many_small_adds_leave_few_files(store: Store) -> None:
    for start in range(0, 240, 2):
        store.add(VECTORS[start : start + 2], COLUMNS.slice(start, 2))
    versions = len(list((store.folder / "rows.lance" / "_versions").glob("*.manifest")))
    assert versions < 60
    store.finish()
    assert len(list((store.folder / "rows.lance" / "data").iterdir())) == 1
    assert len(list((store.folder / "rows.lance" / "_versions").glob("*.manifest"))) == 1
    assert [hit.row for hit in store.search(VECTORS[123:124], k=1)[0]] == [123]


@pytest.mark.parametrize(
    ("vectors", "columns", "options", "says"),
    [
        (VECTORS[:, :3], COLUMNS, {}, r"takes \(n, 8\)"),
        (VECTORS[0], COLUMNS, {}, r"takes \(n, 8\)"),
        (np.array([["a"] * 8]), COLUMNS, {}, "must be numbers"),
        (VECTORS[:5], COLUMNS, {}, "5 vectors and 300 rows"),
        (VECTORS, COLUMNS.rename_columns(["titel", "number", "x"]), {}, "Did you mean 'titel'"),
        (VECTORS, COLUMNS.rename_columns(["title", "_row", "x"]), {}, "'_row'"),
        (VECTORS, COLUMNS.rename_columns(["title", "vector", "x"]), {}, "'vector'"),
        (VECTORS, COLUMNS.rename_columns(["title", "a.b", "x"]), {}, "'a.b'"),
        (VECTORS, COLUMNS.rename_columns(["title", "x", "x"]), {}, "two columns named 'x'"),
        (VECTORS, COLUMNS.rename_columns(["a", "title", "x"]), {}, "must hold text, not int64"),
        (VECTORS, COLUMNS, {"positions": range(1, 5)}, "300 integers"),
        (VECTORS, COLUMNS, {"positions": np.zeros(ROWS, int)}, "must rise"),
        (VECTORS, COLUMNS, {"positions": np.arange(ROWS) - 1}, "from 0 up"),
        (VECTORS, COLUMNS, {"positions": np.arange(ROWS) / 2}, "integers"),
    ],
)
def test_what_cannot_be_added_is_refused(
    store: Store, vectors: NDArray[np.float32], columns: pa.Table, options: dict[str, object], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        store.add(vectors, columns, **options)  # type: ignore[arg-type]
    assert len(Store.open(store.folder)) == 0


def test_later_rows_have_the_columns_of_the_first(store: Store) -> None:
    store.add(VECTORS[:2], COLUMNS.slice(0, 2))
    with pytest.raises(BadInput, match=r"'number'.*missing.*Did you mean 'nummer'"):
        store.add(VECTORS[:2], COLUMNS.slice(0, 2).rename_columns(["title", "nummer", "Big Name"]))
    with pytest.raises(BadInput, match="no column 'extra'"):
        store.add(VECTORS[:2], COLUMNS.slice(0, 2).append_column("extra", pa.array([1, 2])))
    with pytest.raises(BadInput, match="'number' holds string, which does not fit the store's int64"):
        store.add(VECTORS[:2], COLUMNS.slice(0, 2).set_column(1, "number", pa.array(["x", "y"])))
    shuffled = (
        COLUMNS.slice(2, 2)
        .select(["Big Name", "title", "number"])
        .cast(pa.schema([("Big Name", pa.int32()), ("title", pa.large_string()), ("number", pa.int8())]))
    )
    store.add(VECTORS[2:4], shuffled.to_batches()[0])
    assert store.search(VECTORS[2:3], k=1)[0][0].columns == COLUMNS.slice(2, 1).to_pylist()[0]


def test_columns_of_dictionaries_nulls_and_nested_values_are_kept(tmp_path: Path) -> None:
    store = Store.create(tmp_path, WIDTH, "space-1")
    store.add(
        VECTORS[:2],
        pa.table(
            {
                "kind": pa.array(["a", "b"]).dictionary_encode(),
                "nothing": pa.nulls(2),
                "tags": pa.array([["x", "y"], []]),
                "where": pa.array([{"line": 3}, None]),
            }
        ),
    )
    store.add(VECTORS[2:3], pa.table({"kind": ["c"], "nothing": ["now"], "tags": [["z"]], "where": [{"line": 1}]}))
    assert [store.search(VECTORS[row : row + 1], k=1)[0][0].columns for row in (0, 1, 2)] == [
        {"kind": "a", "nothing": None, "tags": ["x", "y"], "where": {"line": 3}},
        {"kind": "b", "nothing": None, "tags": [], "where": None},
        {"kind": "c", "nothing": "now", "tags": ["z"], "where": {"line": 1}},
    ]


def test_non_finite_vectors_and_queries_are_refused_by_their_index(store: Store) -> None:
    bad = VECTORS.copy()
    bad[17, 3] = np.inf
    with pytest.raises(NonFinite, match="vectors hold a NaN or an infinity at index 17"):
        store.add(bad, COLUMNS)
    store.add(VECTORS, COLUMNS)
    with pytest.raises(NonFinite, match=r"queries .* index 17"):
        store.search(bad)


def test_another_models_store_is_refused(store: Store) -> None:
    with pytest.raises(WrongSpace, match=r"'tickets', with fingerprint space-1.*space-2.*index the data again"):
        open_store(store.folder, "space-2")
    assert open_store(str(store.folder), "space-1").fingerprint == "space-1"


def test_a_folder_that_is_no_store_or_not_whole_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match="is not a store"):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(BadFolder, match="is not a store"):
        Store.open(tmp_path)
    store.add(VECTORS, COLUMNS)
    about = store.folder / "store.json"
    whole = about.read_text()
    for content in ("", "{", "[]", "{}", json.dumps({**json.loads(whole), "width": "8"}), "\x00"):
        about.write_text(content)
        with pytest.raises(BadFolder, match="damaged"):
            Store.open(store.folder)
    about.write_text(json.dumps({**json.loads(whole), "format": 99}))
    with pytest.raises(BadFolder, match="newer raw2vec"):
        Store.open(store.folder)
    about.write_text(json.dumps({**json.loads(whole), "id": "another"}))
    with pytest.raises(BadFolder, match="rows of another store"):
        Store.open(store.folder)
    about.write_text(whole)
    shutil.copytree(store.folder, tmp_path / "broken")
    for file in (tmp_path / "broken" / "rows.lance" / "data").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BadFolder, match="missing or damaged"):
        Store.open(tmp_path / "broken").search(VECTORS[:1])
    for file in (tmp_path / "broken" / "rows.lance" / "_versions").iterdir():
        file.write_bytes(b"garbage")
    with pytest.raises(BadFolder, match="missing or damaged"):
        Store.open(tmp_path / "broken")
    shutil.rmtree(store.folder / "rows.lance")
    with pytest.raises(BadFolder, match="missing or damaged"):
        Store.open(store.folder)


def test_the_matrix_is_a_cache(store: Store) -> None:
    store.add(VECTORS, COLUMNS)
    found = store.search(VECTORS[:3])
    (store.folder / "vectors.f32").unlink()
    assert Store.open(store.folder).search(VECTORS[:3]) == found
    (store.folder / "vectors.json").unlink()
    assert Store.open(store.folder).search(VECTORS[:3]) == found


def test_a_store_needs_a_folder_of_its_own(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a store already"):
        create_store(store.folder, WIDTH, "space-1")
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied" / "thesis.doc").touch()
    with pytest.raises(BadInput, match=r"not empty \(it holds thesis.doc\)"):
        Store.create(tmp_path / "occupied", WIDTH, "space-1")
    with pytest.raises(BadInput, match="Cannot write to the store"):
        Store.create(tmp_path / "occupied" / "thesis.doc", WIDTH, "space-1")
    (store.folder / "store.json").unlink()  # as when a creation was cut short
    assert len(Store.create(store.folder, WIDTH, "space-1")) == 0


@pytest.mark.parametrize("address", ["s3://bucket/store", "postgresql://host/db", "gopher://old"])
def test_addresses_that_are_not_folders_are_answered(address: str) -> None:
    with pytest.raises(BadInput, match=r"Name a folder"):
        open_store(address)
    with pytest.raises(BadInput, match=r"Name a folder"):
        create_store(address, 8, "space-1")


def test_bad_modes_and_numbers_of_hits(full: Store) -> None:
    with pytest.raises(BadInput, match="Did you mean 'hybrid'"):
        full.search(VECTORS[:1], mode="hybird")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="k = 1 hit or more"):
        full.search(VECTORS[:1], k=0)
    with pytest.raises(BadInput, match="no approximate index"):
        full.search(VECTORS[:1], mode="approximate")


CODE = ["def parse_url(text): ...", "class HTTPServer: ...", "def close(self): ...", None, "what is the weather"]


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store.create(tmp_path_factory.mktemp("code") / "store", WIDTH, "space-1", text="source")
    store.add(VECTORS[: len(CODE)], pa.table({"source": CODE}))
    store.finish()
    store.add(VECTORS[5:6], pa.table({"source": ["def added_after_finish(): ..."]}))
    return store


@pytest.mark.parametrize(
    ("text", "row"),
    [("parse_url", 0), ("URL", 0), ("http server", 1), ("HTTPServer", 1), ("closing", 2), ("added_after_finish", 5)],
)
def test_hybrid_search_finds_identifiers_whole_and_in_parts(code: Store, text: str, row: int) -> None:
    query = -VECTORS[row]  # the vectors alone would put the row last
    (hits,) = code.search(query[None], k=6, texts=[text], mode="hybrid")
    assert row in [hit.row for hit in hits[:2]]
    assert [hit.score for hit in hits if hit.row == row] == [pytest.approx(-1)]
    assert sorted(hit.row for hit in hits) == list(range(6))


def test_hybrid_search_keeps_to_filters_and_lives_with_texts_of_no_words(code: Store) -> None:
    asked = {"k": 2, "mode": "hybrid"}
    (hits,) = code.search(VECTORS[:1], texts=["parse url"], where="source like '%self%'", **asked)
    assert [hit.row for hit in hits] == [2]
    for text in ("", "?!", "the", "'\" OR AND (", "数据"):
        found = code.search(VECTORS[1:2], texts=[text], **asked)
        assert found == code.search(VECTORS[1:2], k=2)


def test_hybrid_search_says_what_it_lacks(store: Store, tmp_path: Path) -> None:
    store.add(VECTORS, COLUMNS)
    with pytest.raises(BadInput, match="call finish"):
        store.search(VECTORS[:1], texts=["a"], mode="hybrid")
    store.finish()
    for texts in (None, [], ["a", "b"], "a"):
        with pytest.raises(BadInput, match="one text a query"):
            store.search(VECTORS[:1], texts=texts, mode="hybrid")
    plain = Store.create(tmp_path / "plain", WIDTH, "space-1")
    plain.add(VECTORS)
    with pytest.raises(BadInput, match="without a text column"):
        plain.search(VECTORS[:1], texts=["a"], mode="hybrid")


@pytest.mark.parametrize("width", [8, 5])
def test_an_approximate_index_tells_its_measured_recall(tmp_path: Path, width: int) -> None:
    store = Store.create(tmp_path, width, "space-1")
    vectors = np.random.default_rng(3).standard_normal((2000, width)).astype(np.float32)
    vectors[5] = 0
    store.add(vectors, pa.table({"number": np.arange(2000)}))
    with pytest.raises(BadInput, match=r"2,000 rows\. Exact search is faster"):
        store.build_approximate_index()
    built = store.build_approximate_index(least_rows=1000, goal=0.9, seed=4)
    again = Store.open(tmp_path)
    assert again.approximate == built
    assert built.recall >= 0.9
    assert f"recall@10 {built.recall:.3f} on 200 held-out queries over 2,000 rows" in str(built)
    asked = np.random.default_rng(5).standard_normal((60, width)).astype(np.float32)
    near, truth = again.search(asked, mode="approximate"), again.search(asked)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(_rows(near), _rows(truth), strict=True)])
    assert recall > built.recall - 0.1
    scores = {hit.row: hit.score for hit in again.search(asked[:1], k=2000)[0]}
    assert [hit.score for hit in near[0]] == [scores[hit.row] for hit in near[0]]
    few = {"k": 8, "where": "number % 250 = 3"}  # no more than it keeps: the index does not look everywhere for them
    assert again.search(asked, mode="approximate", **few) == again.search(asked, **few)
    store.add(asked[:1], pa.table({"number": [7]}))
    assert store.search(asked[:1], k=1, mode="approximate")[0][0].row == 2000
    assert store.build_approximate_index(asked, least_rows=1000).queries == 60


def _rows(found: list[list[object]]) -> list[list[int]]:
    return [[hit.row for hit in hits] for hits in found]  # type: ignore[attr-defined]
