"""What every store holds to, wherever it is: what goes in comes out, each row once, and every refusal is a sentence."""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raw2vec.errors import BadFolder, BadInput, NonFinite, WrongSpace
from raw2vec.use.stores import VectorStore, create_store, is_store, open_store
from store_servers import KINDS, StoreKinds

ROWS, WIDTH = 300, 8
AWKWARD = ["it's", 'a "quoted" one', "two\nlines", "naïve Größe 数据 🙂", "", "a\\b%_`c`", "'; drop table rows; --"]
VECTORS = np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32)
TITLES = [f"{AWKWARD[row % len(AWKWARD)]} {row}" for row in range(ROWS)]
COLUMNS = pa.table({"title": TITLES, "number": pa.array(np.arange(ROWS) % 10), "Big Name": pa.array(np.arange(ROWS))})


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def place(kind: str, store_kinds: StoreKinds) -> str:
    """An address at which there is nothing yet."""
    return store_kinds.place(kind)


@pytest.fixture
def store(place: str) -> VectorStore:
    return create_store(place, WIDTH, "space-1", model="tickets", text="title")


@pytest.fixture(scope="module")
def full(kind: str, store_kinds: StoreKinds) -> VectorStore:
    store = create_store(store_kinds.place(kind), WIDTH, "space-1", text="title")
    for start in range(0, ROWS, 100):
        store.add(VECTORS[start : start + 100], COLUMNS.slice(start, 100))
    store.finish()
    return store


def cosines(query: NDArray[np.float32]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(VECTORS.astype(np.float64), axis=1) * np.linalg.norm(query)
    return VECTORS.astype(np.float64) @ query / lengths


FILTERS: list[tuple[str, Callable[[int], NDArray[np.bool_]]]] = [
    ("number = {}", lambda n: np.arange(ROWS) % 10 == n),
    ("number > {} and `Big Name` < 200", lambda n: (np.arange(ROWS) % 10 > n) & (np.arange(ROWS) < 200)),
    ("`Big Name` in (3, {}, 250)", lambda n: np.isin(np.arange(ROWS), [3, n, 250])),
    ("title like '%{}'", lambda n: np.array([title.endswith(str(n)) for title in TITLES])),
    ("title is null or number * 0 + {} < 0", lambda n: np.zeros(ROWS, bool)),
]


def test_the_nearest_rows_come_with_their_cosines_and_columns(full: VectorStore) -> None:
    query = np.random.default_rng(1).standard_normal(WIDTH).astype(np.float32)
    scores = cosines(query)
    (hits,) = full.search(query[None], k=7)
    assert [hit.row for hit in hits] == np.argsort(-scores)[:7].tolist()
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][:7], atol=1e-6)
    assert [hit.columns for hit in hits] == [COLUMNS.slice(hit.row, 1).to_pylist()[0] for hit in hits]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, ROWS + 5),
    queries=st.integers(1, 8),
    keeps=st.sampled_from(FILTERS),
    number=st.integers(0, 9),
)
def test_a_filtered_search_is_exact_among_the_rows_it_keeps(
    full: VectorStore,
    seed: int,
    k: int,
    queries: int,
    keeps: tuple[str, Callable[[int], NDArray[np.bool_]]],
    number: int,
) -> None:
    kept = np.flatnonzero(keeps[1](number))
    asked = np.random.default_rng(seed).standard_normal((queries, WIDTH)).astype(np.float32)
    for query, hits in zip(asked, full.search(asked, k, where=keeps[0].format(number)), strict=True):
        scores = cosines(query)[kept]
        assert [hit.row for hit in hits] == kept[np.argsort(-scores)][:k].tolist()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("nummer = 3", "no column 'nummer'. Did you mean 'number'?"),
        ("number = = 3", "parser error|syntax error"),
        ("number = 'x'", "could not convert|invalid input syntax"),
        ("number", "boolean"),
        ("", "parser error"),
        ("number = 3; drop table rows", "parser error"),
        ("1 / (number - number) = 1", "Divide by zero|division by zero"),
    ],
)
def test_a_filter_that_cannot_be_used_is_refused_with_the_columns_there_are(
    full: VectorStore, where: str, says: str
) -> None:
    with pytest.raises(BadInput, match="The columns are: title, number, `Big Name`") as refused:
        full.search(VECTORS[:1], where=where)
    assert re.search(says.replace("?", r"\?"), str(refused.value))
    assert ".rs:" not in str(refused.value)


def test_an_empty_store_one_row_and_more_hits_than_rows(store: VectorStore) -> None:
    assert len(store) == 0
    assert store.search(VECTORS[:2]) == [[], []]
    assert store.search(VECTORS[:2], texts=["a", "b"], mode="hybrid", where="number = 1") == [[], []]
    store.finish()
    assert store.add(VECTORS[:0], COLUMNS.slice(0, 0)) == 0
    assert store.add(VECTORS[:1], COLUMNS.slice(0, 1)) == 1
    assert [hit.row for hit in store.search(VECTORS[:1], k=10)[0]] == [0]
    assert store.search(VECTORS[:0]) == []


def test_a_store_needs_no_columns(place: str) -> None:
    store = create_store(place, WIDTH, "space-1")
    store.add(VECTORS[:3])
    store.add(VECTORS[3:5].astype(np.float64))
    assert [(hit.row, hit.columns) for hit in store.search(VECTORS[4:5], k=1)[0]] == [(4, {})]


def test_a_store_is_the_same_opened_again(store: VectorStore, place: str) -> None:
    store.add(VECTORS, COLUMNS, source="a file")
    again = open_store(place, "space-1")
    assert (len(again), again.width, again.fingerprint, again.model, again.text, again.columns) == (
        (ROWS, WIDTH, "space-1", "tickets", "title", ["title", "number", "Big Name"])
    )
    assert again.search(VECTORS[:5]) == store.search(VECTORS[:5])
    assert again.resume_point("a file") == ROWS


def test_rows_already_committed_are_left_out(store: VectorStore, place: str) -> None:
    assert store.resume_point("a") == 0
    assert store.add(VECTORS[:50], COLUMNS.slice(0, 50), source="a", positions=range(50)) == 50
    assert store.add(VECTORS[:50], COLUMNS.slice(0, 50), source="a", positions=range(50)) == 0
    assert store.add(VECTORS[40:60], COLUMNS.slice(40, 20), source="a", positions=range(40, 60)) == 10
    assert store.add(VECTORS[60:70], COLUMNS.slice(60, 10), source="it's b") == 10
    gaps = np.array([61, 65, 80])
    assert store.add(VECTORS[gaps], COLUMNS.take(gaps), source="a", positions=gaps) == 3
    assert [store.resume_point(source) for source in ("a", "it's b", "c")] == [81, 10, 0]
    assert len(store) == 73
    other = open_store(place)
    assert other.add(VECTORS[90:95], COLUMNS.slice(90, 5), source="a") == 5
    assert store.resume_point("a") == 86
    assert sorted(hit.row for hit in store.search(VECTORS[:1], k=100)[0]) == list(range(78))


def test_a_file_that_has_changed_is_not_gone_on_with(store: VectorStore, place: str) -> None:
    store.settle("its first content", "the column 'title'", "/rows.csv")
    store.settle("its second content", "the column 'title'", "/rows.csv")  # no rows of the first are there
    store.add(VECTORS[:5], COLUMNS.slice(0, 5), source="its second content")
    again = open_store(place)
    again.settle("its second content", "the column 'title'", "/rows.csv")
    again.settle("other rows", "the column 'title'", "/others.csv")
    with pytest.raises(BadInput, match=r"/rows\.csv has changed since 5 of its rows went into the store"):
        again.settle("its third content", "the column 'title'", "/rows.csv")


def test_a_source_is_read_as_it_was_before(store: VectorStore, place: str) -> None:
    store.settle("it's a file", "the column 'title'")
    store.settle("it's a file", "the column 'body'")  # no rows of it are there
    assert store.count("it's a file") == 0
    store.add(VECTORS[:5], COLUMNS.slice(0, 5), source="it's a file")
    store.add(VECTORS[5:6], COLUMNS.slice(5, 1), source="another")
    again = open_store(place)
    again.settle("it's a file", "the column 'body'")
    with pytest.raises(BadInput, match="5 rows of this data by the column 'body', and these are by the column 'title'"):
        again.settle("it's a file", "the column 'title'")
    again.settle("another", "the column 'title'")  # as in stores of before these notes
    assert (again.count("it's a file"), again.count("another"), again.count("")) == (5, 1, 0)


def test_a_handle_reads_its_version_until_it_is_refreshed(store: VectorStore, place: str) -> None:
    store.add(VECTORS[:100], COLUMNS.slice(0, 100))
    reader = open_store(place)
    for start in (100, 200):
        store.add(VECTORS[start : start + 100], COLUMNS.slice(start, 100))
    asked = {"k": ROWS, "where": "number < 5"}
    assert (len(reader), len(reader.search(VECTORS[:1], **asked)[0])) == (100, 50)
    store.finish()  # removes the files of the reader's version: it moves on to the newest
    assert {len(reader.search(VECTORS[:1], **asked)[0])} <= {50, 150}
    reader.refresh()
    assert (len(reader), len(reader.search(VECTORS[:1], **asked)[0])) == (ROWS, 150)


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
    store: VectorStore,
    place: str,
    vectors: NDArray[np.float32],
    columns: pa.Table,
    options: dict[str, object],
    says: str,
) -> None:
    with pytest.raises(BadInput, match=says):
        store.add(vectors, columns, **options)  # type: ignore[arg-type]
    assert len(open_store(place)) == 0


def test_later_rows_have_the_columns_of_the_first(store: VectorStore) -> None:
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


def test_columns_of_dictionaries_nulls_and_nested_values_are_kept(place: str) -> None:
    store = create_store(place, WIDTH, "space-1")
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


def test_non_finite_vectors_and_queries_are_refused_by_their_index(store: VectorStore) -> None:
    bad = VECTORS.copy()
    bad[17, 3] = np.inf
    with pytest.raises(NonFinite, match="vectors hold a NaN or an infinity at index 17"):
        store.add(bad, COLUMNS)
    store.add(VECTORS, COLUMNS)
    with pytest.raises(NonFinite, match=r"queries .* index 17"):
        store.search(bad)


def test_where_there_is_a_store_there_is_no_room_for_another(store: VectorStore, place: str) -> None:
    assert is_store(place)
    with pytest.raises(BadInput, match=r"already\. Open it, or name another"):
        create_store(place, WIDTH, "space-1")
    store.add(VECTORS[:3], COLUMNS.slice(0, 3))
    store.discard()  # which spares a store with rows
    assert len(open_store(place)) == 3


def test_a_store_without_rows_can_be_discarded(store: VectorStore, place: str) -> None:
    store.discard()
    assert not is_store(place)
    with pytest.raises(BadFolder, match="is not a store"):
        open_store(place)
    assert len(create_store(place, WIDTH, "space-2")) == 0


def test_equal_rows_are_found_in_their_order_and_zeros_are_at_right_angles(place: str) -> None:
    store = create_store(place, WIDTH, "space-1")
    vectors = np.repeat(VECTORS[:2], 30, axis=0) * 2.0 ** (np.arange(60) % 7 - 3)[:, None]
    store.add(np.concatenate([vectors, np.zeros((2, WIDTH))]))
    (hits,) = store.search(VECTORS[:1], k=20)
    assert [hit.row for hit in hits] == list(range(20))
    (hits,) = store.search(VECTORS[:1], k=100)
    assert {hit.row: hit.score for hit in hits}[60] == 0
    assert [hit.score for hit in store.search(np.zeros((1, WIDTH)), k=3)[0]] == [0, 0, 0]


def test_every_type_of_column_comes_back_as_it_went_in(place: str) -> None:
    store = create_store(place, WIDTH, "space-1")
    table = pa.table(
        {
            "small": pa.array([1, -2], pa.int8()),
            "big": pa.array([2**64 - 1, None], pa.uint64()),
            "third": pa.array([1 / 3, None], pa.float32()),
            "double": [1 / 3, float("nan")],
            "yes": [True, None],
            "day": pa.array([dt.date(2024, 2, 29), None]),
            "at": pa.array([dt.datetime(2024, 2, 29, 12, 30, 1, 5), None], pa.timestamp("us")),
            "zoned": pa.array([dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
            "clock": pa.array([dt.time(1, 2, 3), None], pa.time64("us")),
            "price": pa.array([Decimal("1.50"), None], pa.decimal128(8, 2)),
            "bytes": [b"\x00\xff", None],
            "nested": [[{"a": [1, None], "b": "x"}], []],
        }
    )
    store.add(VECTORS[:2], table)
    for row, line in enumerate(table.to_pylist()):
        found = store.search(VECTORS[row : row + 1], k=1)[0][0].columns
        assert repr(found) == repr(line)


def test_another_models_store_is_refused(store: VectorStore, place: str) -> None:
    with pytest.raises(WrongSpace, match=r"'tickets', with fingerprint space-1.*space-2.*index the data again"):
        open_store(place, "space-2")
    assert open_store(place, "space-1").fingerprint == "space-1"


def test_bad_modes_and_numbers_of_hits(full: VectorStore) -> None:
    with pytest.raises(BadInput, match="Did you mean 'hybrid'"):
        full.search(VECTORS[:1], mode="hybird")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="k = 1 hit or more"):
        full.search(VECTORS[:1], k=0)
    with pytest.raises(BadInput, match="no approximate index"):
        full.search(VECTORS[:1], mode="approximate")


CODE = ["def parse_url(text): ...", "class HTTPServer: ...", "def close(self): ...", None, "what is the weather"]


@pytest.fixture(scope="module")
def code(kind: str, store_kinds: StoreKinds) -> VectorStore:
    store = create_store(store_kinds.place(kind), WIDTH, "space-1", text="source")
    store.add(VECTORS[: len(CODE)], pa.table({"source": CODE}))
    store.finish()
    store.add(VECTORS[5:6], pa.table({"source": ["def added_after_finish(): ..."]}))
    return store


@pytest.mark.parametrize(
    ("text", "row"),
    [("parse_url", 0), ("URL", 0), ("http server", 1), ("HTTPServer", 1), ("closing", 2), ("added_after_finish", 5)],
)
def test_hybrid_search_finds_identifiers_whole_and_in_parts(code: VectorStore, text: str, row: int) -> None:
    query = -VECTORS[row]  # the vectors alone would put the row last
    (hits,) = code.search(query[None], k=6, texts=[text], mode="hybrid")
    assert row in [hit.row for hit in hits[:2]]
    assert [hit.score for hit in hits if hit.row == row] == [pytest.approx(-1)]
    assert sorted(hit.row for hit in hits) == list(range(6))


def test_hybrid_search_keeps_to_filters_and_lives_with_texts_of_no_words(code: VectorStore) -> None:
    asked = {"k": 2, "mode": "hybrid"}
    (hits,) = code.search(VECTORS[:1], texts=["parse url"], where="source like '%self%'", **asked)
    assert [hit.row for hit in hits] == [2]
    for text in ("", "?!", "the", "'\" OR AND (", "数据"):
        found = code.search(VECTORS[1:2], texts=[text], **asked)
        assert found == code.search(VECTORS[1:2], k=2)


def test_hybrid_search_says_what_it_lacks(store: VectorStore, kind: str, store_kinds: StoreKinds) -> None:
    store.add(VECTORS, COLUMNS)
    if kind != "postgresql":  # which finds words without an index as well
        with pytest.raises(BadInput, match="call finish"):
            store.search(VECTORS[:1], texts=["a"], mode="hybrid")
    store.finish()
    for texts in (None, [], ["a", "b"], "a"):
        with pytest.raises(BadInput, match="one text a query"):
            store.search(VECTORS[:1], texts=texts, mode="hybrid")
    with pytest.raises(BadInput, match="query 0 is no text but a ndarray"):
        store.search(VECTORS[:1], texts=[np.zeros((4, 4), np.uint8)], mode="hybrid")  # type: ignore[list-item]
    plain = create_store(store_kinds.place(kind), WIDTH, "space-1")
    plain.add(VECTORS)
    with pytest.raises(BadInput, match="without a text column"):
        plain.search(VECTORS[:1], texts=["a"], mode="hybrid")


def test_an_approximate_index_tells_its_measured_recall(place: str, kind: str) -> None:
    width = 5 if kind == "s3" else 8  # Lance has two kinds of index
    store = create_store(place, width, "space-1")
    vectors = np.random.default_rng(3).standard_normal((2000, width)).astype(np.float32)
    vectors[5] = 0
    store.add(vectors, pa.table({"number": np.arange(2000)}))
    with pytest.raises(BadInput, match=r"2,000 rows\. Exact search is faster"):
        store.build_approximate_index()
    built = store.build_approximate_index(least_rows=1000, goal=0.9, seed=4)
    again = open_store(place)
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
    for where, says in (("nummer = 3", "no column 'nummer'"), ("", "parser error"), ("number = = 3", "error")):
        with pytest.raises(BadInput, match=says):
            again.search(asked[:1], mode="approximate", where=where)
    store.add(asked[:1], pa.table({"number": [7]}))
    assert store.search(asked[:1], k=1, mode="approximate")[0][0].row == 2000
    assert store.build_approximate_index(asked, least_rows=1000).queries == 60


def _rows(found: list[list[object]]) -> list[list[int]]:
    return [[hit.row for hit in hits] for hits in found]  # type: ignore[attr-defined]
